import type { BackfillOnly, BackfillOrder } from '../../ledger/backfill.ts'
import type { ConfigOption, JobTypes } from '../../job/job-types.ts'
import type { WindowInput } from '../../time/local-dates.ts'

/** Which windows of a job to run, and how. */
export interface BackfillRequest {
  /**
   * Start of the range. The backfill runs windows that lie completely within `[from, to)` and are due. `from` and `to` are instants with
   * their zone, or dates in the job's zone (`'2025-01-01'`), which mean the beginning of the day.
   */
  readonly from: WindowInput
  readonly to: WindowInput
  /** How many windows may be running at the same time, across all nodes. Default: the job's `windows.parallel`. */
  readonly parallel?: number
  /** Which window runs first. Default `'oldest'`. */
  readonly order?: BackfillOrder
  /**
   * Which windows of the range to run. `'missing'`: windows that never ran, were skipped or cancelled, or are stale. `'failed'`: windows
   * that failed. `'all'`: every window, including those that succeeded. A window whose run has not ended, or that is waiting for other
   * jobs, is not run again. Default `'missing'`.
   */
  readonly only?: BackfillOnly
  /** Overrides of the job's config. */
  readonly config?: unknown
  /** The priority; runs with a smaller number start first. Default: the job's priority plus 10,000, so that ordinary runs come first. */
  readonly priority?: number
}

/** {@link BackfillRequest} for a job whose types are known. */
export type BackfillRequestOf<T extends JobTypes> = [T['windowed']] extends [false]
  ? 'a job without windows has nothing to backfill'
  : Omit<BackfillRequest, 'config'> & ConfigOption<T>
