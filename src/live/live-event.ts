import type { BackfillState } from '../ledger/backfill.ts'
import type { BatchState } from '../run/batch.ts'
import type { RunState } from '../run/run.ts'

/** The kinds of events of the fleet. */
export const LIVE_KINDS = ['run', 'window', 'backfill', 'batch', 'job', 'config', 'node', 'audit'] as const

export type LiveKind = (typeof LIVE_KINDS)[number]

/** The change of a run to a new state. */
export interface RunChange {
  readonly kind: 'run'
  readonly runId: number
  readonly jobId: string
  readonly state: RunState
  readonly attempt: number
  /** The node that executes the run, or executed it last. */
  readonly nodeId?: string
  /** When a queued run is due. Missing if it is due immediately. */
  readonly runAt?: string
  /** Why the run's last attempt failed: at most 200 characters. */
  readonly error?: string
  /** Whether a cancellation of the run was requested. */
  readonly isCancelRequested?: boolean
}

/** The change of a window to a new state. */
export interface WindowChange {
  readonly kind: 'window'
  readonly jobId: string
  readonly start: string
  readonly end: string
  readonly state: 'pending' | 'succeeded' | 'failed' | 'cancelled' | 'skipped' | 'waiting' | 'stale'
  readonly runId?: number
}

export interface BackfillChange {
  readonly kind: 'backfill'
  readonly backfillId: number
  readonly jobId: string
  readonly state: BackfillState
}

export interface BatchChange {
  readonly kind: 'batch'
  readonly batchId: number
  readonly jobId: string
  readonly state: BatchState
}

/** The change of a job: it was added, paused or resumed, or it got another schedule. */
export interface JobChange {
  readonly kind: 'job'
  readonly jobId: string
  readonly change: 'added' | 'paused' | 'resumed' | 'schedule'
}

/** A new version of a job's config. `jobId` is `@node…` for settings of nodes. */
export interface ConfigChange {
  readonly kind: 'config'
  readonly jobId: string
  readonly version: number
}

/** The change of a node: it has started or stopped, or its lease has expired. */
export interface NodeChange {
  readonly kind: 'node'
  readonly nodeId: string
  readonly state: 'started' | 'stopped' | 'lost'
  readonly host?: string
}

/** Something that a person or a program has changed. */
export interface AuditChange {
  readonly kind: 'audit'
  readonly auditId: number
  readonly verb: string
  readonly jobId?: string
  readonly actor: string
}

/** A change of the fleet's state. */
export type LiveChange =
  | RunChange
  | WindowChange
  | BackfillChange
  | BatchChange
  | JobChange
  | ConfigChange
  | NodeChange
  | AuditChange

/**
 * An event of the fleet.
 *
 * `id` shows its position in the order of all events: later events have larger ids. `at` is when it was stored, as ISO 8601 in UTC.
 */
export type LiveEvent = LiveChange & { readonly id: number; readonly at: string }

/** Selects events by kind and job. Undefined: all. */
export interface LiveFilter {
  readonly kinds?: readonly LiveKind[] | undefined
  readonly jobs?: readonly string[] | undefined
}

/** Whether an event passes the filter. An event without a job passes only a filter without jobs. */
export function passes({ kinds, jobs }: LiveFilter, change: LiveChange): boolean {
  if (kinds && !kinds.includes(change.kind)) return false
  if (!jobs) return true
  const { jobId } = change as { readonly jobId?: string }
  return jobId !== undefined && jobs.includes(jobId)
}

/** A message to a reader of events about its own connection. The reader continues after `id`. */
export type LiveSignal =
  /**
   * Sent when the connection begins. If `isComplete` is false, events may be missing for ten seconds: those of processes that do not know
   * yet that there are readers.
   */
  | { readonly kind: 'open'; readonly id: number; readonly isComplete: boolean }
  /** From now on, every process stores its events. */
  | { readonly kind: 'complete'; readonly id: number }
  /** Events after `after` are missing. Read again the state that you derived from events. */
  | { readonly kind: 'span_exceeded'; readonly id: number; readonly after: number }
