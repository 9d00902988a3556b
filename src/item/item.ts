/** The states of an item. `skipped`: its function called `ctx.skip`, or a limit left it out. `dead`: no budget for retries is left. */
export type ItemState = 'queued' | 'running' | 'done' | 'dead' | 'skipped' | 'cancelled'

export const ITEM_STATES: readonly ItemState[] = ['queued', 'running', 'done', 'dead', 'skipped', 'cancelled']

/** A small durable unit of work that belongs to a run, as its function sees it. @typeParam D its data, as JSON returns it */
export interface Item<D = unknown> {
  readonly id: number
  readonly kind: string
  /** Unique among the items of its kind, within the scope of `dedup`. */
  readonly key: string
  readonly data: D
  /** 1 for the first try. Lost nodes, stops and `ctx.retryLater` are not counted. */
  readonly attempt: number
  /** How many tries of earlier attempts each class of error has used. */
  readonly tries: Readonly<Record<string, number>>
  /** The name of its lane, without the scope. */
  readonly lane: string
  /** 0 for an item that the job's handler added, otherwise one more than that of the item that added it. */
  readonly depth: number
  readonly priority: number
  /** The id of the item that added it. */
  readonly parent: number | undefined
  /** The text of the last `ctx.checkpoint` of this item, over all attempts. */
  readonly position: string | undefined
  /** The bytes of the last `ctx.keep` of an attempt that failed. */
  readonly kept: Uint8Array | undefined
}
