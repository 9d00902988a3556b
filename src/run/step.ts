import { forbidsRetry, retryTimingOf } from './retry-errors.ts'
import { retryDelayMs, type RetryPolicy } from './retry.ts'

/** A step as users see it: a part of a handler whose result is stored with the run. */
export interface StepRecord {
  readonly name: string
  /** The attempt that stored the step. */
  readonly attempt: number
  /** How many times the step's function was called; for `ctx.until`, across all attempts. */
  readonly tries: number
  /** How long the step took, in milliseconds, with all tries and the pauses between them. */
  readonly ms: number
  /** When `ctx.until` first called its function. Undefined if the function was ready on the first call, and for other steps. */
  readonly waitingSince: Date | undefined
  /** When the step finished; undefined while `ctx.until` is waiting. */
  readonly finishedAt: Date | undefined
}

/**
 * Returns the milliseconds until a step's function is called again after an error. Undefined: it is not called again. Pure.
 *
 * @param tries the calls so far
 * @param random a number in [0, 1)
 */
export function stepRetryMs(
  policy: RetryPolicy,
  tries: number,
  error: Error,
  random: number,
  now: number,
): number | undefined {
  const delayMs = retryDelayMs(policy, tries, random)
  if (delayMs === undefined || forbidsRetry(error)) return undefined
  const timing = retryTimingOf(error)
  if (!timing) return delayMs
  return 'at' in timing ? Math.max(0, timing.at.getTime() - now) : timing.afterMs
}

/** When `ctx.until` calls its function. */
export interface WaitPolicy {
  readonly everyMs: number
  /** The maximum wait, in milliseconds; undefined: no limit. */
  readonly forMs: number | undefined
}

/**
 * Returns the milliseconds until `ctx.until` calls its function again. Undefined if the maximum wait is over. The last call is exactly at
 * the end of the maximum wait. Pure.
 *
 * @param waitedMs the time since the first call, in milliseconds
 */
export function nextLookMs({ everyMs, forMs }: WaitPolicy, waitedMs: number): number | undefined {
  if (forMs === undefined) return everyMs
  const leftMs = forMs - waitedMs
  return leftMs > 0 ? Math.min(everyMs, leftMs) : undefined
}
