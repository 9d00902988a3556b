import { type BackfillOnly, type BackfillOrder } from '../ledger/backfill.ts'
import { type InstantInput } from '../time/instant.ts'

/** Which windows of a job to run, and how. */
export interface BackfillRequest {
  /** Windows that lie wholly within `[from, to)` and are over: instants with their zone. */
  readonly from: InstantInput
  readonly to: InstantInput
  /** Windows under way at once, over all nodes. Default: `windows.parallel` of the job. */
  readonly parallel?: number
  /** Default `'oldest'` first. */
  readonly order?: BackfillOrder
  /**
   * `'missing'`: windows that have never run, or were skipped or cancelled. `'failed'`: those that failed. `'all'`: every one, those
   * that succeeded again. A window with a run under way is left to that run. Default `'missing'`.
   */
  readonly only?: BackfillOnly
  /** Override of the job's config. */
  readonly config?: unknown
  /** Default: 10,000 behind the job's own, and so behind live work. */
  readonly priority?: number
}
