import { type RetryPolicy } from './spec.ts'

/**
 * Milliseconds until the next attempt, or undefined to give up.
 *
 * With jitter the delay is drawn evenly from [half, whole] ("equal jitter": it spreads a herd and still backs off).
 *
 * @param attempt the attempt that failed, 1 for the first
 * @param random in [0, 1)
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number | undefined {
  if (attempt > policy.limit) return undefined
  const whole = Math.min(policy.maxMs, policy.backoff === 'fixed' ? policy.baseMs : policy.baseMs * 2 ** (attempt - 1))
  return Math.round(policy.jitter ? whole / 2 + (whole / 2) * random : whole)
}
