import type { ItemReplayFilter } from '../../store/items/replay-items.ts'

/** Selects the items to run again. */
export type ItemReplay = Omit<ItemReplayFilter, 'runId'>

/** Selects lanes. */
export interface LanePause {
  /** The id of a job, or the `laneScope` of its kinds. Default: all lanes with this name. */
  readonly scope?: string
}
