import { messageOf, readError, stackOf } from '../errors-read.ts'
import { type Window } from '../time/window.ts'
import { redactText } from './redact.ts'
import { retryDelayMs, type RetryPolicy } from './retry.ts'
import { type RetryTiming } from './retry-errors.ts'

/** `docs/lifecycle.md` has the diagram. */
export type RunState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'skipped'

/** Why a run exists. */
export type RunKind = 'scheduled' | 'manual' | 'backfill' | 'dependency'

export const RUN_KINDS: readonly RunKind[] = ['scheduled', 'manual', 'backfill', 'dependency']

export type EndedState = Exclude<RunState, 'queued' | 'running'>

export const ENDED_STATES: readonly EndedState[] = ['succeeded', 'failed', 'cancelled', 'skipped']

export const RUN_STATES: readonly RunState[] = ['queued', 'running', ...ENDED_STATES]

export const TERMINAL_STATES: ReadonlySet<RunState> = new Set(ENDED_STATES)

/** An error as it is stored: enough to show and to search, bounded in size. */
export interface RunError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
}

/** One execution request of a job, as stored. */
export interface Run {
  readonly id: number
  readonly jobId: string
  readonly state: RunState
  readonly kind: RunKind
  readonly priority: number
  readonly runAt: Date
  readonly tick: Date | undefined
  readonly window: Window | undefined
  /** The backfill that asked for it. */
  readonly backfillId: number | undefined
  /** Attempts begun; an attempt that a shutdown or a lost node ended is taken back. */
  readonly attempt: number
  readonly nodeId: string | undefined
  readonly fence: number
  /** Overrides of the job's config for this run. */
  readonly config: unknown
  readonly input: unknown
  /** What the handler returned (JSON). */
  readonly output: unknown
  readonly error: RunError | undefined
  /** Why a tick was skipped. */
  readonly reason: string | undefined
  readonly createdAt: Date
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
  /** When somebody asked to cancel it. A run that came to another end first has it too. */
  readonly cancelRequestedAt: Date | undefined
}

/** A place within the rate of a job: the handler may begin while it is open. */
export interface RatePlace {
  /** Empty for a job as a whole. */
  readonly key: string
  /** When it is counted, on the database's clock. */
  readonly at: number
  /** The handler may not begin before this, on the node's monotonic clock. */
  readonly opensAt: number
  /** Nor after this. */
  readonly closesAt: number
  /** A handler that is in its first turn still at this time has to be counted later. */
  readonly overAt: number
}

/** A run that this node holds. */
export interface Claim {
  readonly runId: number
  readonly jobId: string
  readonly kind: RunKind
  readonly attempt: number
  readonly fence: number
  readonly runAt: Date
  readonly tick: Date | undefined
  readonly window: Window | undefined
  readonly config: unknown
  readonly input: unknown
  readonly concurrencyKey?: string | undefined
  readonly backfillId?: number | undefined
  /** For a run that a rate limits. */
  readonly place?: RatePlace | undefined
}

/** How an attempt ended. */
export type Outcome =
  | { readonly kind: 'success'; readonly output?: unknown }
  /**
   * `isPermanent`: trying again can't help, such as a config that its schema refuses. `retry`: when the handler wants the next
   * attempt.
   */
  | {
      readonly kind: 'failure' | 'timeout'
      readonly error: Error
      readonly isPermanent?: boolean | undefined
      readonly retry?: RetryTiming | undefined
      /** What the job's `retryIf` threw when it was asked about the error. */
      readonly adviceError?: Error | undefined
    }
  | { readonly kind: 'cancelled'; readonly error: Error }
  /**
   * The process shuts down, or the run had no turn: not the handler's failure. `at`: its handler was not called, and the run keeps this
   * time.
   */
  | { readonly kind: 'interrupted'; readonly at?: Date | undefined }

/** What is written about it. */
export type Transition =
  | { readonly to: 'succeeded'; readonly output?: unknown }
  | { readonly to: 'failed' | 'cancelled'; readonly error: RunError }
  /** `counted: false` takes the attempt back. `at` goes before `delayMs`. */
  | {
      readonly to: 'queued'
      readonly delayMs: number
      readonly at?: Date
      readonly counted: boolean
      readonly error?: RunError
    }

/**
 * The one place that decides what an outcome leads to. Pure.
 *
 * @param run    the attempt that ended
 * @param random in [0, 1), for the jitter
 */
export function settle(
  run: { readonly attempt: number },
  outcome: Outcome,
  policy: RetryPolicy,
  random: number,
): Transition {
  switch (outcome.kind) {
    case 'success':
      return { to: 'succeeded', output: outcome.output }
    case 'cancelled':
      return { to: 'cancelled', error: runError(outcome.error) }
    case 'interrupted':
      return { to: 'queued', delayMs: 0, counted: false, ...(outcome.at && { at: outcome.at }) }
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

const LONGEST_MESSAGE = 2_000
const LONGEST_STACK = 8_000
/** Secrets are hidden before a text is cut: half a connection string is no longer known for one. */
const LONGEST_SEARCHED = 100_000

/**
 * What is kept of an error, without secrets and cut to what a row should hold. The chain of causes is part of the stack
 * text.
 */
export function runError(error: Error): RunError {
  const { name, code, stack, cause } = readError(error)
  return {
    name: name.slice(0, 200),
    message: storable(messageOf(error), LONGEST_MESSAGE),
    ...(typeof code === 'string' && { code: code.slice(0, 200) }),
    ...((stack ?? cause) !== undefined && { stack: storable(stackOf(error), LONGEST_STACK) }),
  }
}

/** Both are kept: why the run failed, and why it was not tried again. */
function withAdviceError(error: RunError, adviceError: Error | undefined): RunError {
  if (!adviceError) return error
  const advice = runError(adviceError)
  const message = `${error.message.slice(0, LONGEST_MESSAGE / 2)} (${advice.message})`.slice(0, LONGEST_MESSAGE)
  const stacks = [error.stack?.slice(0, LONGEST_STACK / 2), advice.stack].filter((stack) => stack !== undefined)
  return { ...error, message, stack: stacks.join('\nAnd then: ').slice(0, LONGEST_STACK) }
}

function storable(text: string, longest: number): string {
  return redactText(text.slice(0, LONGEST_SEARCHED)).slice(0, longest)
}
