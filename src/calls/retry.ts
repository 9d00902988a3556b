import { systemClock } from '../clock.ts'
import { anAbortSignal, type OptionChecks } from '../options.ts'
import { policyOf, retryDelayMs, type RetryPolicy, type RetrySpec } from '../run/retry.ts'
import { forbidsRetry, retryTimingOf } from '../run/retry-errors.ts'
import { asFunction, askAbout, readCall } from './call-checks.ts'
import { RETRY_CHECKS } from '../run/retry-checks.ts'
import { called } from './called.ts'

/** Has the options and defaults of a job's `retry`. */
export interface RetryOptions extends RetrySpec {
  /** Aborting this signal ends the wait for the next attempt; `fn` receives the same signal. */
  readonly signal?: AbortSignal
}

/** A function that is retried. `attempt` is 1 for the first call. */
export type Attempted<T> = (signal: AbortSignal, attempt: number) => Promise<T> | T

const FORM = {
  call: 'retry',
  checks: { ...RETRY_CHECKS, signal: anAbortSignal } satisfies OptionChecks<RetryOptions>,
  required: ['limit'] as const,
  example: '{ limit: 3 }',
}

/**
 * Calls `fn` until it succeeds, at most `limit` times after the first, with the delays of a job's `retry`. A `RetryLaterError` sets the
 * next delay, and a `NoRetryError` stops the retries.
 *
 * @throws the error of the last attempt
 * @throws the signal's reason, instead of a further attempt, when it has aborted
 * @throws PikoError `USAGE`
 */
export async function retry<T>(fn: Attempted<T>, options: RetryOptions): Promise<T> {
  const { signal, ...spec } = readCall<RetryOptions>(FORM, { fn: asFunction(fn) }, options)
  return attempted(fn, policyOf(spec), signal ?? new AbortController().signal)
}

/** Like {@link retry}, but takes a policy instead of options. */
export async function attempted<T>(fn: Attempted<T>, policy: RetryPolicy, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await called((current) => fn(current, attempt), signal)
    } catch (thrown) {
      signal.throwIfAborted()
      const delayMs = delayAfter(thrown, policy, attempt)
      if (delayMs === undefined) throw thrown
      await systemClock.sleep(delayMs, signal)
    }
  }
}

/** Returns the milliseconds until the next attempt, or undefined if there is none. */
function delayAfter(thrown: unknown, policy: RetryPolicy, attempt: number): number | undefined {
  const delayMs = retryDelayMs(policy, attempt, Math.random())
  if (delayMs === undefined || forbidsRetry(thrown)) return undefined
  if (policy.retryIf && !askAbout('retryIf', policy.retryIf, thrown)) return undefined
  const timing = retryTimingOf(thrown)
  if (!timing) return delayMs
  return 'afterMs' in timing ? timing.afterMs : Math.max(0, timing.at.getTime() - systemClock.now())
}
