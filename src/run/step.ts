import { forbidsRetry, retryTimingOf } from './retry-errors.ts'
import { retryDelayMs, type RetryPolicy } from './retry.ts'

/** A step as it is shown: a part of a handler whose result its run remembers. */
export interface StepRecord {
  readonly name: string
  /** The attempt that stored it. */
  readonly attempt: number
  /** Calls of its function; of `ctx.until` over all attempts. */
  readonly tries: number
  /** How long its function took, with all tries and the pauses between them. */
  readonly ms: number
  /** When `ctx.until` looked first, if it was not ready then. */
  readonly waitingSince: Date | undefined
  /** Undefined while `ctx.until` waits. */
  readonly finishedAt: Date | undefined
}

/**
 * Milliseconds until a step's function is called again after an error, or undefined to give up. Pure.
 *
 * @param tries the calls so far
 * @param random in [0, 1)
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

/** How `ctx.until` looks. */
export interface WaitPolicy {
  readonly everyMs: number
  /** Undefined: without an end. */
  readonly forMs: number | undefined
}

/**
 * Milliseconds until the next look of `ctx.until`, or undefined if its time is over. The last look is at the very end of that time. Pure.
 *
 * @param waitedMs since the first look
 */
export function nextLookMs({ everyMs, forMs }: WaitPolicy, waitedMs: number): number | undefined {
  if (forMs === undefined) return everyMs
  const leftMs = forMs - waitedMs
  return leftMs > 0 ? Math.min(everyMs, leftMs) : undefined
}
