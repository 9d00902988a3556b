import { PikoError, toError } from '../../errors.ts'
import type { EventMap, Events } from '../../events.ts'
import { answerOf, isBoolean, type OptionFunction } from '../../option-function.ts'
import { cancelledError, runCancelled } from '../../run/attempt.ts'
import { forbidsRetry, retryTimingOf } from '../../run/retry-errors.ts'
import type { Outcome, Transition } from '../../run/run.ts'
import { runError } from '../../run/run-error.ts'
import { settle } from '../../run/settle.ts'
import type { LiveAttempt } from '../attempt/live-attempt.ts'
import type { Clock } from '../../clock.ts'
import type { Completer, Stored } from './completer.ts'
import type { Taken } from './taken.ts'

/** How an attempt ended, as stored. */
export type SettledRun = EventMap['run.settled']

export interface EndingParts {
  readonly completer: Completer
  readonly events: Events
  readonly clock: Clock
  /** Whether this node is sure that it still holds its lease. */
  readonly holdsLease: () => boolean
  /** Returns a number in [0, 1), for the retry's jitter. */
  readonly random: () => number
  /** Called after the outcome is stored, before `onEnded`. */
  readonly onSettled: (run: SettledRun) => void
  /** Called when the attempt is over: its outcome is stored, or its claim is lost. */
  readonly onEnded: (taken: Taken) => void
}

/** Ends attempts: decides the new state of the run, stores it and reports it. */
export class Ending {
  readonly #parts: EndingParts

  constructor(parts: EndingParts) {
    this.#parts = parts
  }

  /** Ends an attempt whose outcome is known. */
  settle(taken: Taken, attempt: LiveAttempt, outcome: Outcome): void {
    if (attempt.commit !== 'sent') this.#settle(taken, attempt, outcome)
    else
      void Promise.resolve(attempt.committing)
        .catch(() => {})
        .then(() => this.#settle(taken, attempt, outcome))
  }

  /** Ends an attempt whose claim is lost. Writes nothing. */
  lost(taken: Taken): void {
    const { runId, jobId, fence } = taken.claim
    this.#parts.events.emit('run.lost', { runId, jobId, fence })
    this.#parts.onEnded(taken)
  }

  #settle(taken: Taken, attempt: LiveAttempt, outcome: Outcome): void {
    const { claim, nodeId } = taken
    const { completer, holdsLease } = this.#parts
    if (attempt.commit === 'done') {
      this.#tell(taken, attempt, { kind: 'success' }, { to: 'succeeded' })
      return
    }
    const decided = this.#decide(attempt, outcome)
    const hasTables = decided.to === 'succeeded' && attempt.tables.length > 0
    const transition = hasTables ? { ...decided, tables: attempt.tables } : decided
    // A node without a lease writes nothing more. The fence would refuse the write anyway.
    if (hasLostLease(attempt) || !holdsLease()) this.lost(taken)
    else
      completer.finish(
        {
          nodeId,
          claim,
          transition,
          configVersion: attempt.configVersion,
          idleItems: attempt.idleItems,
          phases: attempt.phasesText(transition, this.#parts.clock),
        },
        (stored) => this.#stored(taken, attempt, outcome, transition, stored),
      )
  }

  #stored(taken: Taken, attempt: LiveAttempt, outcome: Outcome, transition: Transition, stored: Stored): void {
    if (typeof stored === 'object') {
      const error = stored.unstorable
      return this.#tell(taken, attempt, { kind: 'failure', error }, { to: 'failed', error: runError(error) })
    }
    switch (stored) {
      case 'lost':
        return this.lost(taken)
      case 'cancelled': {
        const error = runCancelled(taken.claim.runId)
        return this.#tell(taken, attempt, { kind: 'cancelled', error }, { to: 'cancelled', error: cancelledError() })
      }
      case 'reopened':
        return this.#tell(taken, attempt, { kind: 'interrupted' }, { to: 'queued', counted: false, delayMs: 0 })
      case 'stored':
        return this.#tell(taken, attempt, outcome, transition)
    }
  }

  #tell(taken: Taken, attempt: LiveAttempt, outcome: Outcome, transition: Transition): void {
    const { events, clock, onSettled, onEnded } = this.#parts
    const { runId, jobId } = taken.claim
    const now = clock.now()
    const run: SettledRun = {
      runId,
      jobId,
      attempt: taken.claim.attempt,
      outcome: outcome.kind,
      state: transition.to,
      durationMs: now - attempt.startedAt,
      error: 'error' in outcome ? outcome.error : undefined,
      retryInMs: retryInMs(transition, now),
      isGivenUp: attempt.isGivenUp,
      isUntried: outcome.kind === 'interrupted' && outcome.at !== undefined,
    }
    onSettled(run)
    events.emit('run.settled', run)
    onEnded(taken)
  }

  /** Decides the new state of a run from the handler's outcome. If this fails, the run fails, so that it does not stay `running`. */
  #decide(attempt: LiveAttempt, outcome: Outcome): Transition {
    try {
      const { retry } = attempt.job.policy
      if (outcome.kind === 'success') return settle(attempt.claim, outcome, retry, 0)
      return settle(attempt.claim, withAdvice(attempt, outcome), retry, this.#parts.random())
    } catch (thrown) {
      return { to: 'failed', error: runError(toError(thrown)) }
    }
  }
}

/** Adds to the outcome whether the handler's error and the job's `retryIf` allow a further attempt. */
function withAdvice(attempt: LiveAttempt, outcome: Outcome): Outcome {
  if (outcome.kind !== 'failure' && outcome.kind !== 'timeout') return outcome
  const { error } = outcome
  const { retryIf } = attempt.job.policy.retry
  let isPermanent = outcome.isPermanent === true || forbidsRetry(error)
  let adviceError: Error | undefined
  try {
    if (!isPermanent && retryIf) isPermanent = !adviceOf(attempt, retryIf, error)
  } catch (thrown) {
    adviceError = toError(thrown)
    isPermanent = true
  }
  return { ...outcome, isPermanent, retry: retryTimingOf(error), ...(adviceError && { adviceError }) }
}

function adviceOf({ job }: LiveAttempt, retryIf: (error: Error) => unknown, error: Error): boolean {
  const asked: OptionFunction<boolean> = {
    ...{ jobId: job.id, option: 'retry.retryIf', isAnswer: isBoolean, expected: 'true or false' },
    next: 'the run is not retried',
  }
  return answerOf(asked, () => retryIf(error))
}

function hasLostLease({ abortReason }: LiveAttempt): boolean {
  return abortReason instanceof PikoError && abortReason.code === 'LEASE_LOST'
}

/** Returns the milliseconds until the next attempt of a run that is retried or is waiting in `ctx.until`. */
function retryInMs(transition: Transition, now: number): number | undefined {
  if (transition.to !== 'queued' || !(transition.counted || transition.isWaiting)) return undefined
  return transition.at ? Math.max(0, transition.at.getTime() - now) : transition.delayMs
}
