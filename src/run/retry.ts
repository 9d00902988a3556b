/**
 * The milliseconds until the next attempt. Undefined: no attempts are left.
 *
 * With jitter, the delay is random, evenly between half and all of it. This "equal jitter" spreads simultaneous retries and still backs
 * off.
 *
 * @param attempt the attempt that failed, 1 for the first
 * @param random a number in [0, 1)
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number | undefined {
  if (attempt > policy.limit) return undefined
  // 2^60 ms is longer than any limit. An unbounded power would become Infinity, or NaN with a base of 0.
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
