import { systemClock } from '../../clock.ts'
import { toError } from '../../errors.ts'
import { retryDelayMs, type RetryPolicy } from '../../run/retry.ts'
import { forbidsRetry, retryTimingOf } from '../../run/retry-errors.ts'

export interface Tries {
  readonly policy: RetryPolicy | undefined
  /** Aborting this signal ends the wait for the next try. */
  readonly signal: AbortSignal
  /** Whether another try may succeed. */
  readonly mayHelp: (error: Error) => boolean
  readonly onRetry: () => void
}

/**
 * Calls `fn` until it succeeds, with the delays of `policy`.
 *
 * @throws the error of the last try
 */
export async function tried(fn: () => Promise<void>, { policy, signal, mayHelp, onRetry }: Tries): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await fn()
      return
    } catch (thrown) {
      const error = toError(thrown)
      const delayMs = policy && !signal.aborted && mayHelp(error) ? delayAfter(error, policy, attempt) : undefined
      if (delayMs === undefined) throw error
      await systemClock.sleep(delayMs, signal)
      if (signal.aborted) throw error
      onRetry()
    }
  }
}

/** Returns the milliseconds until the next try; undefined if there is none. */
function delayAfter(error: Error, policy: RetryPolicy, attempt: number): number | undefined {
  const delayMs = retryDelayMs(policy, attempt, Math.random())
  if (delayMs === undefined || forbidsRetry(error) || policy.retryIf?.(error) === false) return undefined
  const timing = retryTimingOf(error)
  if (!timing) return delayMs
  return 'afterMs' in timing ? timing.afterMs : Math.max(0, timing.at.getTime() - systemClock.now())
}
