import type { ItemCounts } from '../../item/item-counts.ts'
import type { RunState } from '../../run/run.ts'
import type { LaneStatus } from '../../store/items/list-items.ts'

/** The items of a run, as `app.items.status` returns them. */
export interface ItemsStatus extends ItemCounts {
  readonly runId: number
  readonly jobId: string
  readonly state: RunState
  /** Whether the handler has added all items. */
  readonly isSeeded: boolean
  /** The counts of each kind. `open` counts its queued and running items together. */
  readonly kinds: Readonly<Record<string, Omit<ItemCounts, 'queued' | 'running'> & { readonly open: number }>>
  /** The numbers of skipped items by reason, and of left-out values by limit. */
  readonly reasons: Readonly<Record<string, number>>
  /** The number of ended items per second since the run started. */
  readonly perSecond: number
  /** The milliseconds until all items have ended at this speed. Undefined if nothing has ended yet, or nothing is left. */
  readonly etaMs: number | undefined
  /** At most 50 lanes with queued or running items. */
  readonly lanes: readonly LaneStatus[]
}
