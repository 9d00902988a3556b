/**
 * The states of an item. `skipped`: its function called `ctx.skip`. `dead`: it failed and no retry is left.
 */
export type ItemState = 'queued' | 'running' | 'done' | 'dead' | 'skipped' | 'cancelled'

export const ITEM_STATES: readonly ItemState[] = ['queued', 'running', 'done', 'dead', 'skipped', 'cancelled']

/**
 * A small durable unit of work of a run, in the form in which the item's function receives it.
 *
 * @typeParam D the type of the item's data after a conversion to JSON and back
 */
export interface Item<D = unknown> {
  readonly id: number
  readonly kind: string
  /** The key of the item. It is unique among the items of its kind, within the scope of `dedup`. */
  readonly key: string
  readonly data: D
  /** The number of the try; 1 for the first. Tries that ended because of a lost node, a stop or `ctx.retryLater` are not counted. */
  readonly attempt: number
  /** How many earlier tries failed, by error class. */
  readonly tries: Readonly<Record<string, number>>
  /** The name of the item's lane, without the scope. */
  readonly lane: string
  /**
   * The depth of the item. Unless the option `depth` has set it: 0 if the job's handler added the item, otherwise one more than the depth
   * of the item that added it.
   */
  readonly depth: number
  readonly priority: number
  /** The id of the item that added this one; undefined if the job's handler added it. */
  readonly parent: number | undefined
  /** The position of the item's last `ctx.checkpoint`, possibly in an earlier try; undefined if there was none. */
  readonly position: string | undefined
  /** The bytes that an earlier try passed to `ctx.keep`. Undefined if there are none, or if they are on another machine. */
  readonly kept: Uint8Array | undefined
}

/**
 * How many milliseconds each phase of an item's attempt took.
 *
 * - `resources`: until its resources were borrowed and its function was called
 * - `lane`: how long its lane took to respond, as measured with `ctx.lane.measured`; in a crawl, the download
 * - `function`: the rest of its function; in a crawl, the step
 * - `store`: until its rows were sent to the sinks and its end was stored
 */
export interface ItemPhases {
  readonly resources: number
  readonly lane: number
  readonly function: number
  readonly store: number
}
