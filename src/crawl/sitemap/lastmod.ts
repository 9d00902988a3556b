import { storedInstant } from '../../time/instant.ts'

/** A time range. Only pages that were changed within it are read. In milliseconds since 1970; undefined means no bound. */
export interface ChangedWithin {
  readonly sinceMs: number | undefined
  readonly untilMs: number | undefined
}

const DAY_MS = 24 * 3_600_000
/**
 * The forms of a `lastmod` without a time of day. `rest` completes the text to a date, and `lengthMs` is the longest length of that year,
 * month or day.
 */
const DAYS: readonly (readonly [form: RegExp, rest: string, lengthMs: number])[] = [
  [/^\d{4}$/, '-01-01', 366 * DAY_MS],
  [/^\d{4}-\d\d$/, '-01', 31 * DAY_MS],
  [/^\d{4}-\d\d-\d\d$/, '', DAY_MS],
]

/**
 * Whether a page with this `lastmod` may have been changed within a range. A date without a time stands for any time of that year, month or
 * day. A time without a zone is in UTC. A missing or unreadable `lastmod` is within every range. Pure.
 */
export function isWithin(lastmod: string | undefined, { sinceMs, untilMs }: ChangedWithin): boolean {
  if (lastmod === undefined) return true
  const [, rest, lengthMs] = DAYS.find(([form]) => form.test(lastmod)) ?? [undefined, '', 0]
  const first = storedInstant(`${lastmod}${rest}`)?.getTime()
  if (first === undefined) return true
  return (sinceMs === undefined || first + lengthMs >= sinceMs) && (untilMs === undefined || first < untilMs)
}
