import { describe, PikoError } from '../errors.ts'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

type Unit = keyof typeof UNIT_MS

/** A length of time with its unit: `'250ms'`, `'10s'`, `'1.5h'`, `'1d'`. A day is 24 hours. */
export type Duration = `${number}${Unit}` | `${number}${Unit}${number}${Unit}`

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/

/**
 * Milliseconds of a duration text; parts add up (`'1h30m'`).
 *
 * @param what the option's name, for the error message
 * @throws PikoError `DURATION_INVALID`
 */
export function durationMs(text: string, what = 'duration'): number {
  if (typeof text !== 'string' || !WHOLE.test(text)) {
    throw new PikoError(
      'DURATION_INVALID',
      `${what} is ${describe(text)}; expected a number with a unit (ms, s, m, h, d), such as "10s" or "1h30m"`,
      { details: { what, value: text } },
    )
  }
  let total = 0
  for (const [, amount, unit] of text.matchAll(PART)) total += Number(amount) * UNIT_MS[unit as Unit]
  return Math.round(total)
}

/** A short text for people: `850ms`, `12.3s`, `4m 05s`, `2h 03m`. */
export function formatMs(ms: number): string {
  // Rounded first, so that no unit is ever full: 59.98 s is a minute, not 60.0 s.
  if (Math.round(ms) < 1_000) return `${Math.round(ms)}ms`
  const tenths = Math.round(ms / 100)
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const pad = (value: number): string => String(value).padStart(2, '0')
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`
  const minutes = Math.round(ms / 60_000)
  return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`
}
