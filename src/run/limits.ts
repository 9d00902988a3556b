import { describe } from '../errors.ts'
import { type Duration, type DurationUnit, MAX_STORED_MS, readDuration } from '../time/duration.ts'
import type { Window } from '../time/window.ts'

/** A run that has not started, as the function that returns the key of a limit receives it. */
export interface Admissible<C = Record<string, unknown>, W extends Window | undefined = Window | undefined> {
  /** The job's config with the run's overrides, parsed by the spec's schema. */
  readonly config: C
  readonly input: unknown
  readonly window: W
}

/**
 * Returns the key of a limit: a string of at most 128 characters. Runs with the same key share the limit. A run with the key `undefined` is
 * not limited.
 */
export type KeyOf<C, W extends Window | undefined> = (run: Admissible<C, W>) => string | undefined

/** How many runs of a job with the same key may run at the same time, across all nodes. */
export interface KeyedConcurrency<C = Record<string, unknown>, W extends Window | undefined = Window | undefined> {
  readonly limit: number
  readonly key: KeyOf<C, W>
}

/** How many attempts, items or calls may begin within a span of time: `'100/m'`, `'5/s'`, `'1000/h'`, `'50/10s'`. */
export type Rate = `${number}/${Duration | DurationUnit}`

/** A rate with a key; each key has the full rate. */
export interface KeyedRate<C = Record<string, unknown>, W extends Window | undefined = Window | undefined> {
  readonly rate: Rate
  readonly key?: KeyOf<C, W>
}

/** The limits that a claim respects. */
export interface AdmissionLimits {
  /** The limit of the whole job: `concurrency`, or 1 if its runs must not overlap. */
  readonly concurrency?: number | undefined
  /** The limit for the job's runs, without those of backfills: `windows.parallel`. */
  readonly parallel?: number | undefined
  /** The limit for runs with the same concurrency key. */
  readonly perKey?: number | undefined
  /** The rate of runs with the same rate key, or of the whole job. */
  readonly rate?: (RateLimit & { readonly isKeyed: boolean }) | undefined
}

/** At most `limit` attempts, items or calls begin in any span of `perMs` milliseconds. */
export interface RateLimit {
  readonly limit: number
  readonly perMs: number
}

const RATE_FORM = 'a count and a span of time, such as "100/m", "5/s" or "50/10s"'
const RATE = /^([1-9]\d{0,6})\/(\d+(?:\.\d+)?)?(ms|s|m|h|d)$/

/**
 * Parses a rate such as `'100/m'` or `'50/10s'`.
 *
 * @returns the limit, or the problem and what was expected
 */
export function parseRate(text: unknown): RateLimit | { readonly problem: string } {
  const [, limit, amount = '1', unit = ''] = (typeof text === 'string' && RATE.exec(text)) || []
  if (limit === undefined) return { problem: `${describe(text)}; expected ${RATE_FORM}` }
  const span = readDuration(`${amount}${unit}`, MAX_STORED_MS)
  if ('expected' in span) return { problem: `${describe(text)}; expected a length of time of ${span.expected}` }
  return span.ms < 1
    ? { problem: `${describe(text)}; expected ${RATE_FORM}` }
    : { limit: Number(limit), perMs: span.ms }
}
