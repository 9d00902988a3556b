import type { Window } from '../time/window.ts'
import type { RetryTiming } from './retry-errors.ts'
import type { TableRows } from './table-rows.ts'
import type { RunError } from './run-error.ts'

/** The states of a run; `docs/lifecycle.md` has the diagram. */
export type RunState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'skipped'

/** Why a run exists. */
export type RunKind = 'scheduled' | 'manual' | 'backfill' | 'dependency'

export const RUN_KINDS: readonly RunKind[] = ['scheduled', 'manual', 'backfill', 'dependency']

export type EndedState = Exclude<RunState, 'queued' | 'running'>

export const ENDED_STATES: readonly EndedState[] = ['succeeded', 'failed', 'cancelled', 'skipped']

export const RUN_STATES: readonly RunState[] = ['queued', 'running', ...ENDED_STATES]

export const TERMINAL_STATES: ReadonlySet<RunState> = new Set(ENDED_STATES)

/** One stored request to execute a job. @typeParam Out its output */
export interface Run<Out = unknown> {
  readonly id: number
  readonly jobId: string
  readonly state: RunState
  readonly kind: RunKind
  readonly priority: number
  readonly runAt: Date
  readonly tick: Date | undefined
  readonly window: Window | undefined
  /** The backfill that requested the run. */
  readonly backfillId: number | undefined
  /**
   * How many attempts have begun since the last replay. Those that are not counted, for example because a shutdown or a lost node has ended
   * them, are left out.
   */
  readonly attempt: number
  readonly nodeId: string | undefined
  readonly fence: number
  /** Overrides of the job's config for this run. */
  readonly config: unknown
  /** The version of the job's config that the last ended attempt used; undefined if the job had none. */
  readonly configVersion: number | undefined
  readonly input: unknown
  /** The value that the handler returned, as JSON represents it. */
  readonly output: Out
  readonly error: RunError | undefined
  /** Why a tick was skipped. */
  readonly reason: string | undefined
  readonly createdAt: Date
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
  /** When a cancellation was requested. Also set if the run ended before the cancellation took effect. */
  readonly cancelRequestedAt: Date | undefined
}

/**
 * A place in a job's rate limit: the right to begin one attempt. The handler may begin only between `opensAt` and `closesAt`. All times are
 * in milliseconds.
 */
export interface RatePlace {
  /** The key of the rate limit; empty if the rate applies to the whole job. */
  readonly key: string
  /** The time at which the rate limit counts the attempt, on the database's clock. */
  readonly at: number
  /** The handler must not begin before this time, on the node's monotonic clock. */
  readonly opensAt: number
  /** The handler must not begin after this time, on the node's monotonic clock. */
  readonly closesAt: number
  /** If the first synchronous part of the handler is still running at this time, the rate limit counts the attempt later. */
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
  /** The trace context of the caller that requested the run. */
  readonly trace?: string | undefined
  /** The run's place in a rate limit; undefined unless a rate limits the job's runs. */
  readonly place?: RatePlace | undefined
}

/** How an attempt ended. */
export type Outcome =
  | { readonly kind: 'success'; readonly output?: unknown }
  /**
   * `isPermanent` means that another attempt can't help, for example because the schema rejects the config. `retry` is the time that the
   * handler requested for the next attempt.
   */
  | {
      readonly kind: 'failure' | 'timeout'
      readonly error: Error
      readonly isPermanent?: boolean | undefined
      readonly retry?: RetryTiming | undefined
      /** The error that the job's `retryIf` threw. */
      readonly adviceError?: Error | undefined
    }
  | { readonly kind: 'cancelled'; readonly error: Error }
  /**
   * The attempt ended without a failure of the handler, for example because the process shut down or the database did not answer. `at` is
   * set if the handler was never called: the run keeps this due time.
   */
  | { readonly kind: 'interrupted'; readonly at?: Date | undefined }
  /** A step is waiting for something: the attempt is not counted, and the run is due again after this time. */
  | { readonly kind: 'waiting'; readonly afterMs: number }

/** The change to store for an outcome. */
export type Transition =
  /** `tables`: the rows that the attempt wrote to fenced tables. */
  | { readonly to: 'succeeded'; readonly output?: unknown; readonly tables?: readonly TableRows[] }
  | { readonly to: 'failed' | 'cancelled'; readonly error: RunError }
  /**
   * `counted: false`: the attempt is not counted. `at` takes precedence over `delayMs`. `isWaiting`: a step is waiting, and the history
   * omits the attempt.
   */
  | {
      readonly to: 'queued'
      readonly delayMs: number
      readonly at?: Date
      readonly counted: boolean
      readonly isWaiting?: true
      readonly error?: RunError
    }
