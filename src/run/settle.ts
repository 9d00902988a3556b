import { retryDelayMs, type RetryPolicy } from './retry.ts'
import type { Outcome, Transition } from './run.ts'
import { runError, withAdviceError } from './run-error.ts'

/** Shared by all runs without output, because thousands end per second. */
const SUCCEEDED: Transition = Object.freeze({ to: 'succeeded', output: undefined })

/**
 * Decides what follows from the outcome of an attempt: end, retry, or return to the queue. No other code decides this. Pure.
 *
 * A run also returns to the queue without an outcome: through the executor's `giveBack` (never begun), the store's `give-back.ts` (lost
 * node), or a replay.
 *
 * @param run the attempt that ended
 * @param random a number in [0, 1), for the jitter
 */
export function settle(
  run: { readonly attempt: number },
  outcome: Outcome,
  policy: RetryPolicy,
  random: number,
): Transition {
  switch (outcome.kind) {
    case 'success':
      return outcome.output === undefined ? SUCCEEDED : { to: 'succeeded', output: outcome.output }
    case 'cancelled':
      return { to: 'cancelled', error: runError(outcome.error) }
    case 'interrupted':
      return { to: 'queued', delayMs: 0, counted: false, ...(outcome.at && { at: outcome.at }) }
    case 'waiting':
      return { to: 'queued', delayMs: outcome.afterMs, counted: false, isWaiting: true }
    case 'failure':
    case 'timeout': {
      const error = withAdviceError(runError(outcome.error), outcome.adviceError)
      const delayMs = outcome.isPermanent ? undefined : retryDelayMs(policy, run.attempt, random)
      if (delayMs === undefined) return { to: 'failed', error }
      const queued = { to: 'queued', delayMs, counted: true, error } as const
      if (!outcome.retry) return queued
      return 'at' in outcome.retry ? { ...queued, at: outcome.retry.at } : { ...queued, delayMs: outcome.retry.afterMs }
    }
  }
}
