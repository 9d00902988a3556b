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
   * `'attention'`: late jobs first, the one that has been late longest at the top; then jobs with failures in the last 24 hours; then the
   * others by id. Default `'id'`.
   */
  readonly order?: 'id' | 'attention'
  /** The maximum number of last runs of each job to show. Default 20. */
  readonly runs?: number
}

/** Which runs to cancel. */
export interface CancelOptions extends CancelFilter {
  /** Only counts the runs that would be cancelled. Default false. */
  readonly dryRun?: boolean
}

/** Which runs to replay. */
export interface ReplayOptions extends ReplayFilter {
  /** The first step to run again. This step, and all steps that finished after it, are deleted. Default: all steps are kept. */
  readonly from?: string
  /** Only counts the runs that would be replayed. Default false. */
  readonly dryRun?: boolean
}

/** Which ended runs to delete. */
export interface PruneOptions {
  /** The minimum age. Only runs that ended at least this long ago are deleted. */
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
  /** Only schedules that were set at run time (true), or only those from code (false). */
  readonly isOverridden?: boolean
  /** Only jobs whose ids come after this one, such as the id of the last job of the previous page. */
  readonly after?: string
  /** The maximum number of schedules. Default: all. */
  readonly limit?: number
}

/** The processes whose services to show or restart. */
export interface ServiceChoice {
  /** A host, or the id of one node. */
  readonly on?: string | undefined
}

/** Which services to list. */
export interface ServiceFilter extends ServiceChoice {
  /** Only services with this path or name. */
  readonly service?: string | undefined
}

/** Which ticks of a schedule to show. */
export interface PreviewOptions {
  /** The first instant, or the first day in the job's zone (`'2025-06-15'`). Default: now, by this process's clock. */
  readonly from?: WindowInput
  /** The maximum number of ticks. Default 10. */
  readonly count?: number
  /** A schedule to try: shows the ticks that the job would have with it. Default: the current schedule. */
  readonly schedule?: ScheduleSpec
}

/** Options for waiting for a backfill. */
export interface BackfillWait {
  /** Aborting this signal ends the wait, but not the backfill. */
  readonly signal?: AbortSignal
  /** Called repeatedly with the status; the last call has the final status. */
  readonly onProgress?: (status: BackfillStatus) => void
}

/** Which held locks to list. */
export interface LockFilter {
  /** The maximum number of locks. Default 100. */
  readonly limit?: number
  /** Selects only locks whose names come after this one, such as the last name of the previous page. */
  readonly after?: string
}

/** Which shared rate limits to list. */
export interface LimitFilter {
  /** The maximum number of limits. Default 100. */
  readonly limit?: number
  /** Only limits whose names come after this one, such as the last name of the previous page. */
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
  /** `'failed'`: only windows that failed. Default `'all'`. */
  readonly only?: 'failed' | 'all'
}

/** Which windows to mark. */
export interface WindowMark {
  readonly from: WindowInput
  readonly to: WindowInput
}

/** Options of `configs.watch`. */
export interface ConfigWatch {
  /** Aborting this signal ends the iteration. The stop of the app also ends it. */
  readonly signal?: AbortSignal
}
