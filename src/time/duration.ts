import { describe, PikoError } from '../errors.ts'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export type DurationUnit = keyof typeof UNIT_MS

/** A length of time with its unit: `'250ms'`, `'10s'`, `'1.5h'`, `'1d'`. A day is 24 hours. */
export type Duration = `${number}${DurationUnit}` | `${number}${DurationUnit}${number}${DurationUnit}`

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/

/** The longest duration that may be added to a stored instant: ten years. Every store can represent the result. */
export const MAX_STORED_MS = 3_650 * UNIT_MS.d
/**
 * The longest duration for all other purposes: five hundred years. It keeps date arithmetic within the limits of `Date` and of the
 * databases.
 */
export const MAX_DURATION_MS = 182_500 * UNIT_MS.d

/** The milliseconds of a duration, or a string that describes the expected form. */
export type DurationReading = { readonly ms: number } | { readonly expected: string }

/** Reads a duration, which may have several parts (`'1h30m'`). Pure. */
export function readDuration(text: unknown, maxMs = MAX_DURATION_MS): DurationReading {
  if (typeof text !== 'string' || !WHOLE.test(text))
    return { expected: 'a number with a unit (ms, s, m, h, d), such as "10s" or "1h30m"' }
  const ms = unboundedMs(text)
  return ms > maxMs ? { expected: `at most "${maxMs / UNIT_MS.d}d"` } : { ms }
}

/** Returns the milliseconds of a valid duration text of any length. */
function unboundedMs(text: string): number {
  let total = 0
  for (const [, amount, unit] of text.matchAll(PART)) total += Number(amount) * UNIT_MS[unit as DurationUnit]
  return Math.round(total)
}

/**
 * Returns the milliseconds of a duration.
 *
 * @param what the name of the option, for the error message
 * @param maxMs default `MAX_DURATION_MS`; `MAX_STORED_MS` for a duration that is added to a stored instant
 * @throws PikoError `DURATION_INVALID`
 */
export function durationMs(text: string, what = 'duration', maxMs = MAX_DURATION_MS): number {
  const reading = readDuration(text, maxMs)
  if ('ms' in reading) return reading.ms
  throw new PikoError('DURATION_INVALID', `${what} is ${describe(text)}; expected ${reading.expected}`, {
    details: { what, value: text },
  })
}

/** Like {@link durationMs}, but a longer duration becomes the maximum. */
export function cappedDurationMs(text: string, what: string, maxMs: number): number {
  return typeof text === 'string' && WHOLE.test(text) ? Math.min(maxMs, unboundedMs(text)) : durationMs(text, what)
}

/** Formats a duration for people: `850ms`, `12.3s`, `4m 05s`, `2h 03m`. */
export function formatMs(ms: number): string {
  // The value is rounded first, so that a unit is never full: 59.98 s is shown as a minute, not as 60.0 s.
  if (Math.round(ms) < 1_000) return `${Math.round(ms)}ms`
  const tenths = Math.round(ms / 100)
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const pad = (value: number): string => String(value).padStart(2, '0')
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`
  const minutes = Math.round(ms / 60_000)
  return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`
}
