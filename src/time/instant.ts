import { describe, type ErrorCode, PikoError } from '../errors.ts'

/** An instant as users write it: a `Date`, or an ISO 8601 text with its zone (`2026-01-01T00:00:00Z`). */
export type InstantInput = Date | string

/**
 * The range of instants. MySQL's DATETIME covers the years 1000 to 9999. In this range, the order of SQLite's strings is the order of time.
 */
export const FIRST_INSTANT_MS = Date.UTC(1000, 0, 1)
export const LAST_INSTANT_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** The instant of a value, or a string that describes the expected form. */
export type InstantReading = { readonly date: Date } | { readonly expected: string }

const DATE = String.raw`(\d{4})-(\d\d)-(\d\d)`
const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?`
const ZONE = String.raw`(Z|[+-]\d\d:?\d\d)`
const WRITTEN = new RegExp(`^${DATE}T${TIME}${ZONE}$`)
const STORED = new RegExp(`^${DATE}(?:[T ]${TIME}${ZONE}?)?$`)

/** Matches an instant as Piko stores it. Days from 29 on need another check, because not every month has them. */
const AS_STORED = /^[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/

const FORM = 'an instant with its zone, such as "2026-01-01T00:00:00Z" or "2026-01-01T01:00:00+01:00"'
const RANGE = 'an instant from "1000-01-01T00:00:00Z" to "9999-12-31T23:59:59.999Z", which every database can keep'

/**
 * Reads an instant from a person or a program. All such instants follow this rule: a valid `Date`, or an ISO 8601 text with date, `T`, time
 * and zone (`Z`, `±hh:mm` or `±hhmm`). The date must exist, and both databases must be able to store the instant. Digits after the
 * millisecond are dropped. Pure.
 *
 * `Date` alone accepts more than that: "Jan 15 2026" in local time, 30 February as 2 March, "1.5" as a day of the year 2001.
 */
export function readInstant(value: unknown): InstantReading {
  if (typeof value === 'string') {
    const parts = WRITTEN.exec(value)
    return parts ? readParts(parts) : { expected: FORM }
  }
  return isDate(value) ? withinRange(msOf(value)) : { expected: `a Date, or ${FORM}` }
}

/**
 * Reads an instant from an option or an argument.
 *
 * @param name the name of the value for the error, such as `from of a backfill`
 * @throws PikoError with `code`, by default `USAGE`
 */
export function instantOf(name: string, value: unknown, code: ErrorCode = 'USAGE'): Date {
  const reading = readInstant(value)
  if ('date' in reading) return reading.date
  throw new PikoError(code, `${name} is ${describeInstant(value)}; expected ${reading.expected}`, {
    details: { option: name, value: isDate(value) ? describeInstant(value) : value },
  })
}

/**
 * Reads an instant of a row, as Piko stores it (`2026-01-31T12:00:00.000Z`) or as people type it. Text without a zone means UTC:
 * `2026-01-31 12:00:00`, `2026-01-31`. The calendar and the range are the same as in {@link readInstant}. Pure.
 *
 * @returns undefined for any other text; the row is then broken
 */
export function storedInstant(value: unknown): Date | undefined {
  if (typeof value !== 'string') return isDate(value) ? dateOf(withinRange(msOf(value))) : undefined
  if (AS_STORED.test(value)) {
    const date = new Date(value)
    // `Date` reads 30 February as 2 March.
    if (date.getUTCDate() === Number(value.slice(8, 10))) return date
  }
  const parts = STORED.exec(value)
  return parts ? dateOf(readParts(parts)) : undefined
}

/** Describes a value for messages. JSON would show an invalid Date as `null`. */
export function describeInstant(value: unknown): string {
  return isDate(value) && Number.isNaN(msOf(value)) ? 'an invalid Date' : describe(value)
}

/** Whether both databases can store the instant. */
export function isInstantMs(ms: number): boolean {
  return ms >= FIRST_INSTANT_MS && ms <= LAST_INSTANT_MS
}

function readParts(parts: RegExpExecArray): InstantReading {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  const days = month >= 1 && month <= 12 ? new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate() : 0
  if (days === 0) return { expected: 'a month from 01 to 12' }
  if (day < 1 || day > days) return { expected: `a day that exists: ${parts[1]}-${parts[2]} has ${days} days` }
  if (hour > 23) return { expected: 'an hour from 00 to 23; midnight is 00:00 of the day that begins with it' }
  if (minute > 59) return { expected: 'a minute from 00 to 59' }
  if (second > 59) return { expected: 'a second from 00 to 59; leap seconds are not supported' }
  const offsetMs = offsetOf(parts[8] ?? 'Z')
  if (offsetMs === undefined) return { expected: 'a zone from -23:59 to +23:59' }
  const ms = Number((parts[7] ?? '').slice(0, 3).padEnd(3, '0'))
  // Date.UTC would read the years 0 to 99 as 1900 to 1999. These years are outside the range anyway.
  return year < 100
    ? { expected: RANGE }
    : withinRange(Date.UTC(year, month - 1, day, hour, minute, second, ms) - offsetMs)
}

function offsetOf(zone: string): number | undefined {
  if (zone === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(-2))
  if (hours > 23 || minutes > 59) return undefined
  return (hours * 60 + minutes) * (zone.startsWith('-') ? -60_000 : 60_000)
}

function withinRange(ms: number): InstantReading {
  if (Number.isNaN(ms)) return { expected: 'a valid Date' }
  return isInstantMs(ms) ? { date: new Date(ms) } : { expected: RANGE }
}

function dateOf(reading: InstantReading): Date | undefined {
  return 'date' in reading ? reading.date : undefined
}

/** Whether the value is a Date, even one from another realm, for which `instanceof` returns false. */
function isDate(value: unknown): value is Date {
  try {
    msOf(value as Date)
    return true
  } catch {
    return false
  }
}

/** Calls the method of the class, because the object itself may have another method with this name. */
function msOf(date: Date): number {
  return Date.prototype.getTime.call(date)
}
