/**
 * The states of an item. `skipped`: its function called `ctx.skip`, or a limit left the item out. `dead`: it failed and no retry is left.
 */
export type ItemState = 'queued' | 'running' | 'done' | 'dead' | 'skipped' | 'cancelled'

export const ITEM_STATES: readonly ItemState[] = ['queued', 'running', 'done', 'dead', 'skipped', 'cancelled']

/**
 * A small durable unit of work of a run, as the item's function receives it.
 *
 * @typeParam D the type of the item's data after a conversion to JSON and back
 */
export interface Item<D = unknown> {
  readonly id: number
  readonly kind: string
  /** A key that no other item of the kind has within the scope of `dedup`. */
  readonly key: string
  readonly data: D
  /** The number of the try; 1 for the first. Lost nodes, stops and `ctx.retryLater` are not counted. */
  readonly attempt: number
  /** How many earlier attempts failed, by class of error. */
  readonly tries: Readonly<Record<string, number>>
  /** The name of the item's lane, without the scope. */
  readonly lane: string
  /** The depth: 0 for an item that the job's handler added, otherwise one more than the depth of the item that added this one. */
  readonly depth: number
  readonly priority: number
  /** The id of the item that added this one; undefined if the job's handler did. */
  readonly parent: number | undefined
  /** The position of the last `ctx.checkpoint` of this item, which may be from an earlier attempt; undefined if there was none. */
  readonly position: string | undefined
  /** The bytes that an earlier, failed attempt passed to `ctx.keep`; undefined if there are none. */
  readonly kept: Uint8Array | undefined
}
