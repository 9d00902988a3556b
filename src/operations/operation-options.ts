import type { EndedState } from '../run/run.ts'
import type { JobFilter } from '../store/jobs/job-store.ts'
import type { CancelFilter } from '../store/runs/cancel-store.ts'
import type { ReplayFilter } from '../store/runs/replay-store.ts'
import type { Duration } from '../time/duration.ts'
import type { WindowInput } from '../time/local-dates.ts'
import type { ScheduleSpec } from '../time/schedule.ts'
import type { BackfillStatus } from './backfills/backfill-status.ts'
import type { DeadRowFilter } from '../store/sinks/dead-row-store.ts'

/** Which jobs `app.jobs.overview` shows. */
export interface OverviewFilter extends JobFilter {
  /**
   * `'attention'`: late jobs first, the one that is late for the longest time before all others; then jobs with failures of the last 24
   * hours; then by id. Default `'id'`.
   */
  readonly order?: 'id' | 'attention'
  /** The maximum number of last runs of each job. Default 20. */
  readonly runs?: number
}

/** Which runs to cancel. */
export interface CancelOptions extends CancelFilter {
  /** Only counts the runs that would be cancelled. Default false. */
  readonly dryRun?: boolean
}

/** Which runs to replay. */
export interface ReplayOptions extends ReplayFilter {
  /** Forgets the step with this name, and all steps that finished after it. Default: keeps all steps. */
  readonly from?: string
  /** Only counts the runs that would be replayed. Default false. */
  readonly dryRun?: boolean
}

/** Which ended runs to delete. */
export interface PruneOptions {
  /** The minimum age: deletes only runs that ended at least this long ago. */
  readonly olderThan: Duration
  /** The states of the runs to delete. Default: `'succeeded'`, `'failed'`, `'cancelled'` and `'skipped'`. */
  readonly states?: readonly EndedState[]
  readonly jobId?: string | undefined
  /** Only counts the runs that would be deleted. Default false. */
  readonly dryRun?: boolean
}

/** Which schedules to list. */
export interface ScheduleFilter {
  readonly jobIds?: readonly string[]
  /** Only schedules that were set at run time, or only those from code. */
  readonly isOverridden?: boolean
  /** Only jobs with larger ids, such as the last one of the previous page. */
  readonly after?: string
  /** Maximum number of schedules. Default: all. */
  readonly limit?: number
}

/** Which ticks of a schedule to show. */
export interface PreviewOptions {
  /** Shows ticks from this instant on, or from this day in the job's zone on (`'2025-06-15'`). Default: now, on this process's clock. */
  readonly from?: WindowInput
  /** The maximum number of ticks. Default 10. */
  readonly count?: number
  /** Shows the ticks that the job would have with this schedule. Default: the one in force. */
  readonly schedule?: ScheduleSpec
}

/** How to wait for a backfill. */
export interface BackfillWait {
  /** Aborting this signal ends the wait, but not the backfill. */
  readonly signal?: AbortSignal
  /** Receives the status repeatedly, including the last one. */
  readonly onProgress?: (status: BackfillStatus) => void
}

/** Which held locks to list. */
export interface LockFilter {
  /** The maximum number of locks. Default 100. */
  readonly limit?: number
  /** Selects only locks with later names, such as the last one of the previous page. */
  readonly after?: string
}

/** Which shared rate limits to list. */
export interface LimitFilter {
  /** The maximum number of limits. Default 100. */
  readonly limit?: number
  /** Only limits with later names, such as the last one of the previous page. */
  readonly after?: string
}

export interface DeadFilter extends DeadRowFilter {
  /** The maximum number of entries. Default 100. */
  readonly limit?: number
  /** Lists only rows with larger ids. */
  readonly after?: number
}

/** Which windows to run again. */
export interface WindowRerun {
  readonly from: WindowInput
  readonly to: WindowInput
  /** `'failed'`: only those that failed. Default `'all'`. */
  readonly only?: 'failed' | 'all'
}

/** Which windows to mark. */
export interface WindowMark {
  readonly from: WindowInput
  readonly to: WindowInput
}
