import { readInstant } from './instant.ts'

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const LONG_DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const DAY = `(?<day>${DAYS.join('|')})`
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = String.raw`(?<time>\d\d:\d\d:\d\d)`

/** The three forms of a date in RFC 9110, section 5.6.7. */
const FORMS = [
  new RegExp(String.raw`^${DAY}, (?<date>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`),
  new RegExp(String.raw`^(?<day>${LONG_DAYS.join('|')}), (?<date>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT$`),
  new RegExp(String.raw`^${DAY} ${MONTH} (?<date>\d\d| \d) ${TIME} (?<year>\d{4})$`),
]

/**
 * Reads an HTTP date. The names, digits, spaces, calendar date and weekday must be exactly as RFC 9110 defines them. Pure.
 *
 * @param now determines the century of two-digit years: a year more than 50 years ahead belongs to the previous century
 * @returns undefined for any other text, even if `Date` could read it
 */
export function httpDate(text: string, now: Date): Date | undefined {
  const groups = FORMS.map((form) => form.exec(text)?.groups).find((found) => found !== undefined)
  if (!groups) return undefined
  const { day = '', date = '', month = '', year = '', time = '' } = groups
  const days = date.trim().padStart(2, '0')
  const months = String(MONTHS.indexOf(month) + 1).padStart(2, '0')
  const dateIn = (years: number): Date | undefined => {
    const reading = readInstant(`${years}-${months}-${days}T${time}Z`)
    return 'date' in reading && day.startsWith(DAYS[reading.date.getUTCDay()] as string) ? reading.date : undefined
  }
  return year.length === 2 ? dateIn(fullYear(Number(year), now)) : dateIn(Number(year))
}

function fullYear(twoDigits: number, now: Date): number {
  const year = now.getUTCFullYear() - (now.getUTCFullYear() % 100) + twoDigits
  return year > now.getUTCFullYear() + 50 ? year - 100 : year
}
