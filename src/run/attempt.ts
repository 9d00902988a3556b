import { PikoError } from '../errors.ts'
import { type RunError, runError, type Transition } from './run.ts'

/** How an attempt without success ended: `interrupted` by the stop of its node, `lost` with its node. */
export type AttemptOutcome = 'failed' | 'timeout' | 'cancelled' | 'interrupted' | 'lost'

export const ATTEMPT_OUTCOMES: readonly AttemptOutcome[] = ['failed', 'timeout', 'cancelled', 'interrupted', 'lost']

/** One try of a run. */
export interface Attempt {
  /** Counts from 1 anew after a replay; an attempt that a stop or a lost node ended shares its number with the next. */
  readonly attempt: number
  /** Grows from one attempt to the next. */
  readonly fence: number
  readonly nodeId: string | undefined
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
  readonly outcome: AttemptOutcome | 'succeeded' | 'running'
  readonly error: RunError | undefined
}

/** What a transition says of the attempt that it ends. */
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

/** A timeout is known by its error. */
export function failure(error: RunError | undefined): 'failed' | 'timeout' {
  return error?.name === 'PikoError' && error.code === 'RUN_TIMEOUT' ? 'timeout' : 'failed'
}

/** The reason of a run that somebody cancelled: of its signal, and of its row. */
export function runCancelled(runId?: number): PikoError {
  return new PikoError('RUN_CANCELLED', `${runId === undefined ? 'the run' : `run ${runId}`} was cancelled`, {
    ...(runId !== undefined && { details: { runId } }),
  })
}

/** The same as a row keeps it: the stack of whoever asked explains nothing. */
export function cancelledError(): RunError {
  return withoutStack(runCancelled())
}

/** What is kept of a run whose nodes died under it too often. */
export function crashedError(deaths: number): RunError {
  return withoutStack(
    new PikoError(
      'RUN_CRASHED',
      `its node died ${deaths} times while it ran: the run may be what kills it, by memory or a native crash; see the log of the node`,
    ),
  )
}

function withoutStack(error: PikoError): RunError {
  const { name, message, code } = runError(error)
  return { name, message, ...(code !== undefined && { code }) }
}
