import type { ItemCounts } from '../../item/item-counts.ts'
import type { RunState } from '../../run/run.ts'
import type { LaneStatus } from '../../store/items/list-items.ts'

/** The items of a run; the result of `app.items.status`. */
export interface ItemsStatus extends ItemCounts {
  readonly runId: number
  readonly jobId: string
  readonly state: RunState
  /** Whether the handler has added all items. */
  readonly isSeeded: boolean
  /** The counts of each kind. `open` is the number of queued and running items together. */
  readonly kinds: Readonly<Record<string, Omit<ItemCounts, 'queued' | 'running'> & { readonly open: number }>>
  /** How many items were skipped, by reason, and how many values were left out, by limit. */
  readonly reasons: Readonly<Record<string, number>>
  /** How many items ended per second since the run started. */
  readonly perSecond: number
  /**
   * Milliseconds until all items have ended at this speed. Undefined if no item has ended yet, if none is left, or if the run has ended.
   */
  readonly etaMs: number | undefined
  /** At most 50 lanes with queued or running items. */
  readonly lanes: readonly LaneStatus[]
}
