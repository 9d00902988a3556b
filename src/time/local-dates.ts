import { types } from 'node:util'
import { isObject, propertyOf } from '../errors-read.ts'
import { describe, type ErrorCode, PikoError } from '../errors.ts'
import { zoneNamed } from './cron.ts'
import { describeInstant, type InstantInput, type InstantReading, readInstant } from './instant.ts'
import type { Ticks } from './ticks.ts'
import type { Window } from './window.ts'
import type { Zone } from './zone.ts'
import { ZonedTicks } from './zoned-ticks.ts'

/**
 * An instant in a request for windows. It has a zone, or it is a date in the job's time zone (`'2025-06-15'` or `{ date: '2025-06-15' }`).
 * A date means the instant at which that day begins in the zone.
 */
export type WindowInput = InstantInput | { readonly date: string }

const DATE = /^\d{4}-\d\d-\d\d$/
const DAY_MS = 86_400_000
/** The longest change of an offset, with a margin: no zone has ever changed its offset by more than a day. */
const LONGEST_SHIFT_MS = 26 * 3_600_000
const OR_DATE = ', or a date of the job\'s time zone, such as "2026-01-01"'

/** Returns the text of a date in either form. Undefined if the value does not look like a date. */
export function writtenDate(value: unknown): string | undefined {
  const text = isObject(value) ? propertyOf(value, 'date') : value
  return typeof text === 'string' && DATE.test(text) ? text : undefined
}

/** Returns what is wrong with a date, such as 30 February; undefined if it is valid. */
export function dateProblem(date: string): string | undefined {
  const reading = readInstant(`${date}T00:00:00Z`)
  return 'expected' in reading ? reading.expected : undefined
}

/**
 * Reads an instant of a window or a range. It is either an instant as in {@link readInstant}, or a date, which means the beginning of that
 * day in the zone. All such inputs are read here. Pure.
 */
export function readMoment(value: unknown, timezone: string): InstantReading {
  const date = writtenDate(value)
  if (date === undefined) {
    const reading = readInstant(value)
    return 'date' in reading ? reading : { expected: `${reading.expected}${OR_DATE}` }
  }
  const problem = dateProblem(date)
  if (problem !== undefined) return { expected: problem }
  const start = startOfDate(date, zoneNamed(timezone))
  return start === undefined
    ? { expected: `a day that exists in ${timezone}, between the years 1000 and 2999` }
    : { date: new Date(start) }
}

/**
 * Reads an instant or a date from an option or an argument.
 *
 * @param name the name of the value for the error, such as `from of a backfill`
 * @throws PikoError with `code`, by default `USAGE`
 */
export function momentOf(name: string, value: unknown, timezone: string, code: ErrorCode = 'USAGE'): Date {
  const reading = readMoment(value, timezone)
  if ('date' in reading) return reading.date
  throw new PikoError(code, `${name} is ${describeMoment(value)}; expected ${reading.expected}`, {
    details: { option: name, value: types.isDate(value) ? describeInstant(value) : value },
  })
}

/** Returns the text that the user wrote, for messages. */
export function describeMoment(value: unknown): string {
  const date = writtenDate(value)
  return date === undefined ? describeInstant(value) : describe(date)
}

/**
 * Returns the date of a window that is exactly one day in the zone's calendar, which may have 23 or 25 hours. Undefined for any other
 * window. Pure.
 */
export function dateOfWindow({ start, end }: Window, timezone: string): string | undefined {
  const zone = zoneNamed(timezone)
  const days = daysOf(zone)
  const isDay = days.previous(start.getTime() + 1) === start.getTime() && days.next(start.getTime()) === end.getTime()
  return isDay ? new Date(localDay(start.getTime(), zone) * DAY_MS).toISOString().slice(0, 10) : undefined
}

/** Returns the shortest text for this instant in a request for windows. It is a date if a day of the zone begins at that instant. Pure. */
export function momentText(instant: Date, timezone: string): string {
  const zone = zoneNamed(timezone)
  const at = instant.getTime()
  return daysOf(zone).previous(at + 1) === at
    ? new Date(localDay(at, zone) * DAY_MS).toISOString().slice(0, 10)
    : instant.toISOString().replace('.000Z', 'Z')
}

/** Formats an instant in the local time of the zone: `2025-06-15 02:00 +02:00`. Shows seconds only if there are any. Pure. */
export function localText(instant: Date, timezone: string): string {
  const offset = zoneNamed(timezone).offsetAt(instant.getTime())
  const [date = '', time = ''] = new Date(instant.getTime() + offset).toISOString().split(/[TZ]/)
  return `${date} ${time.replace(/(?::00)?\.000$/, '')} ${offsetText(offset)}`
}

/**
 * Formats the offset from UTC, such as `+02:00`. Shows seconds only if there are any. Offsets from before the introduction of standard time
 * have seconds.
 */
export function offsetText(offsetMs: number): string {
  const sign = offsetMs < 0 ? '-' : '+'
  const text = new Date(Math.abs(offsetMs)).toISOString().slice(11, 19)
  return sign + (text.endsWith(':00') ? text.slice(0, 5) : text)
}

/**
 * Returns when a date begins in a zone. Undefined if the zone's clocks skipped the whole day, or if the date is outside the years 1000 to
 * 2999.
 */
function startOfDate(date: string, zone: Zone): number | undefined {
  const days = daysOf(zone)
  const wall = Date.parse(`${date}T00:00:00Z`)
  const day = wall / DAY_MS
  let start = days.next(wall - LONGEST_SHIFT_MS - 1)
  while (start !== undefined && localDay(start, zone) < day) start = days.next(start)
  return start !== undefined && localDay(start, zone) === day ? start : undefined
}

/** Returns the number of days since 1970 in the zone's calendar. */
function localDay(at: number, zone: Zone): number {
  return Math.floor((at + zone.offsetAt(at)) / DAY_MS)
}

const MIDNIGHTS: Ticks = {
  next: (after) => (Math.floor(after / DAY_MS) + 1) * DAY_MS,
  previous: (before) => (Math.ceil(before / DAY_MS) - 1) * DAY_MS,
}

const days = new Map<Zone, Ticks>()

/**
 * Returns the instants at which days begin in a zone, usually at midnight. If the clocks skip midnight, a day begins at the first instant
 * after the gap. If midnight exists twice, it begins at the first one.
 */
function daysOf(zone: Zone): Ticks {
  const known = days.get(zone)
  if (known) return known
  const ticks = new ZonedTicks(MIDNIGHTS, zone, { gap: 'after', overlap: 'first' })
  days.set(zone, ticks)
  return ticks
}
