import { type Duration, durationMs } from '../time/duration.ts'

/** When a failed attempt is retried, and how many times. */
export interface RetrySpec {
  /** The maximum number of retries after the first attempt. */
  readonly limit: number
  /** How the delay grows. `'fixed'`: `base` each time. `'exponential'`: base · 2^(retry − 1). Default `'exponential'`. */
  readonly backoff?: 'fixed' | 'exponential'
  /** The delay before the first retry. Default `'1s'`. */
  readonly base?: Duration
  /** The longest delay of the back-off. Default `'5m'`. */
  readonly max?: Duration
  /** Makes the delay random, evenly between half and all of it. Default true. */
  readonly jitter?: boolean
  /**
   * Whether another attempt may succeed after this error. Also called for a timeout (`PikoError` `RUN_TIMEOUT` for a run, `TIMEOUT` for a
   * call). Default: always true. If it throws, there is no further attempt.
   */
  readonly retryIf?: (error: Error) => boolean
}

export const DEFAULT_RETRY_BASE_MS = 1_000
export const DEFAULT_RETRY_MAX_MS = 300_000

/**
 * Returns the milliseconds until the next attempt. Undefined: no attempts are left.
 *
 * With jitter, the delay is random, evenly between half and all of it. This "equal jitter" spreads simultaneous retries and still backs
 * off.
 *
 * @param attempt the attempt that failed, 1 for the first
 * @param random a number in [0, 1)
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number | undefined {
  if (attempt > policy.limit) return undefined
  // 2^60 ms is longer than any limit. A larger power could become Infinity, or NaN with a base of 0.
  const factor = policy.backoff === 'fixed' ? 1 : 2 ** Math.min(attempt - 1, 60)
  const whole = Math.min(policy.maxMs, policy.baseMs * factor)
  return Math.round(policy.jitter ? whole / 2 + (whole / 2) * random : whole)
}

export interface RetryPolicy {
  readonly limit: number
  readonly backoff: 'fixed' | 'exponential'
  readonly baseMs: number
  readonly maxMs: number
  readonly jitter: boolean
  readonly retryIf?: ((error: Error) => boolean) | undefined
}

/** Creates a policy from checked options, with the defaults of a job's `retry`. */
export function policyOf(spec: Partial<RetrySpec>): RetryPolicy {
  return {
    limit: spec.limit ?? 0,
    backoff: spec.backoff ?? 'exponential',
    baseMs: spec.base === undefined ? DEFAULT_RETRY_BASE_MS : durationMs(spec.base),
    maxMs: spec.max === undefined ? DEFAULT_RETRY_MAX_MS : durationMs(spec.max),
    jitter: spec.jitter ?? true,
    retryIf: spec.retryIf,
  }
}
