import { PikoError } from '../errors.ts'
import { type RunError, runError } from './run-error.ts'
import type { Phase } from './phases.ts'
import type { Transition } from './run.ts'

/** How an unsuccessful attempt ended. `interrupted`: it was not counted, for example because its node stopped. `lost`: its node died. */
export type AttemptOutcome = 'failed' | 'timeout' | 'cancelled' | 'interrupted' | 'lost'

export const ATTEMPT_OUTCOMES: readonly AttemptOutcome[] = ['failed', 'timeout', 'cancelled', 'interrupted', 'lost']

/** One attempt to execute a run. */
export interface Attempt {
  /**
   * The number of the attempt; 1 for the first, and again for the first after a replay. An attempt that a shutdown or a lost node ended is
   * not counted, so the next one has the same number.
   */
  readonly attempt: number
  /** The fence of the attempt. It increases from one attempt to the next. */
  readonly fence: number
  readonly nodeId: string | undefined
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
  readonly outcome: AttemptOutcome | 'succeeded' | 'running'
  readonly error: RunError | undefined
  /** The phases of the attempt, in order. While the attempt is running, this is only its time in the queue. */
  readonly phases: readonly Phase[]
}

/** Returns the outcome of an attempt that ends with this transition. */
export function attemptOutcome(transition: Exclude<Transition, { to: 'succeeded' }>): AttemptOutcome {
  switch (transition.to) {
    case 'cancelled':
      return 'cancelled'
    case 'failed':
      return failure(transition.error)
    case 'queued':
      return transition.counted ? failure(transition.error) : 'interrupted'
  }
}

/** Returns how an attempt with this error failed. Only the error shows whether the time limit was the reason. */
export function failure(error: RunError | undefined): 'failed' | 'timeout' {
  return error?.name === 'PikoError' && error.code === 'RUN_TIMEOUT' ? 'timeout' : 'failed'
}

/** Creates the abort reason of a cancelled run. */
export function runCancelled(runId?: number): PikoError {
  return new PikoError('RUN_CANCELLED', `${runId === undefined ? 'the run' : `run ${runId}`} was cancelled`, {
    ...(runId !== undefined && { details: { runId } }),
  })
}

/** Creates the error to store. It has no stack, because the caller's stack would not explain the cancellation. */
export function cancelledError(): RunError {
  return withoutStack(runCancelled())
}

/** Creates the error to store for a run during which too many nodes have died. */
export function crashedError(deaths: number): RunError {
  return withoutStack(
    new PikoError(
      'RUN_CRASHED',
      `nodes died ${deaths} times while executing this run: the run may be the cause, through its memory use or a native crash; see the logs of these nodes`,
    ),
  )
}

function withoutStack(error: PikoError): RunError {
  const { name, message, code } = runError(error)
  return { name, message, ...(code !== undefined && { code }) }
}

/** Creates the abort reason of an attempt that took too long. */
export function runTimedOut(
  { runId, jobId }: { readonly runId: number; readonly jobId: string },
  ms: number,
): PikoError {
  return new PikoError('RUN_TIMEOUT', `run ${runId} of job "${jobId}" took longer than its timeout of ${ms} ms`)
}
