import type { ItemReplayFilter } from '../../store/items/replay-items.ts'

/** Selects the items to run again. */
export type ItemReplay = Omit<ItemReplayFilter, 'runId'>

/** Selects lanes. */
export interface LanePause {
  /** A job's id, or the `laneScope` of its kinds. Default: all lanes with this name. */
  readonly scope?: string
}
