import type { Item } from '../../item/item.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { Duration } from '../../time/duration.ts'
import type { Window } from '../../time/window.ts'
import type { JobContext } from '../context.ts'
import type { ItemAdder, ItemData } from './adding.ts'

/** Text that a lane stores for all nodes. */
export interface LaneNote {
  readonly text: string
  /** How long the note is valid. */
  readonly ttl: Duration
  /** The minimum time between two items of the lane. Default: unchanged. */
  readonly spacing?: Duration | undefined
}

/** The lane of an item. */
export interface ItemLane {
  readonly name: string
  /**
   * How many milliseconds there were between two items of the lane when this item got its start time; 0 if the lane has neither a rate nor
   * a minimum time between two items.
   */
  readonly spacingMs: number
  /**
   * Waits for a turn: until the lane's rate allows the next request. Send the request immediately afterwards. The first call of an item
   * whose kind has `turn: 'call'` uses the start time that the item got in the lane. If the item has missed that time and the lane is busy,
   * the call throws, and the item returns to the queue as with `retryLater`. Each further call, and each call of other items, waits for
   * another turn. Returns immediately if the lane has no rate.
   *
   * @param options.wait the maximum time. Default: as long as it takes
   * @returns whether the item has got a turn; false if there was none within `wait`
   */
  turn(options?: { readonly wait?: Duration }): Promise<boolean>
  /**
   * Returns text that all nodes share, such as a host's robots.txt. If it is missing or expired, one item on one node loads it, and the
   * others wait. If the load fails, the next caller tries again.
   *
   * @param name at most 64 characters
   */
  note(name: string, load: (signal: AbortSignal) => Promise<LaneNote>): Promise<string>
  /**
   * Reports how long the lane took to respond to this item, in milliseconds; undefined if unknown. It is used for the lane's speed and its
   * `throttle`. Default: the duration of the whole attempt.
   *
   * @param options.isFailed whether the lane did not respond, or responded with an error. Then the time counts toward `phases` of the event
   * `item.ended`, but not toward the lane's speed
   */
  measured(ms: number | undefined, options?: { readonly isFailed?: boolean }): void
  /**
   * Sets whether a failure of this attempt counts for the lane's circuit breaker. Pass `false` if the failure says nothing about the lane,
   * for example because a proxy may have caused it. Default: true.
   */
  counts(isOfLane: boolean): void
}

/** A named state, such as a session with its cookies. Only one item at a time holds it. */
export interface LeasedState<T> {
  readonly name: string
  /** The value that was last saved, after a conversion to JSON and back. */
  readonly value: T
  /** How many items have used the state before. */
  readonly uses: number
  /** How many errors the items have reported with the state. */
  readonly errors: number
  /** Stores a new value when this item ends, whatever its outcome. @throws PikoError `USAGE` that names every value that JSON would lose */
  save(value: T): void
  /** Counts an error of the state when this item ends. */
  failed(): void
  /** Removes the state from the pool when this item ends. The next item that needs a state creates another one. */
  retire(): void
}

export interface LeaseOptions<T> {
  /** The maximum number of states in this pool, across all nodes. */
  readonly size: number
  /** Creates a state. Called once for each state, by one item on one node. If it throws, the item fails, and the next item tries again. */
  readonly create: (name: string, signal: AbortSignal) => Promise<T>
  /** The name of the state to lease. If that state is retired, any other is leased. */
  readonly name?: string | undefined
  /** How long to wait for a free state. Default `'30s'`. */
  readonly wait?: Duration
}

/** The counted outcomes of a name, such as a proxy, from the items of all nodes. */
export interface Score {
  readonly ok: number
  readonly failed: number
  /** The number of failures since the last success. */
  readonly failuresInARow: number
  /** The share of successes, from 0 to 1. It is an average in which about the last 20 outcomes have most of the weight. */
  readonly successShare: number
  /** The average time in milliseconds, weighted like `successShare`. */
  readonly ms: number | undefined
  readonly updatedAt: Date
}

/** The context of an item's function. `fence` is the generation of the run's items; it is the same for all of them on all nodes. */
export interface ItemContext<
  R extends ResourceMap = Record<never, never>,
  C = Record<string, unknown>,
  S extends SinkMap = Record<never, never>,
  W extends Window | undefined = Window | undefined,
  I = unknown,
  M extends ItemData = ItemData,
> extends Omit<JobContext<R, C, S, W, I>, 'step' | 'stepMap' | 'until' | 'commit' | 'items' | 'onConfigChange'> {
  readonly item: Item
  readonly items: ItemAdder<M>
  readonly lane: ItemLane
  /**
   * Milliseconds since the first items of the run were stored. Measured on the database's clock, because the clocks of nodes may differ and
   * jump.
   */
  readonly elapsedMs: number
  /**
   * Ends the item as skipped. Drops the items that it has added, and its rows that have not been delivered yet. Never returns, because it
   * throws.
   */
  readonly skip: (reason: string) => never
  /** Returns the item to the queue, where it waits until `when`. This does not count as a try. Never returns, because it throws. */
  readonly retryLater: (when: Date | Duration) => never
  /**
   * Ends the item as done. The writes of `fn` through `trx` on Piko's own database, the end and the added items are stored in one
   * transaction. Flushes the sinks first.
   */
  commit<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
  /**
   * Stores a position (at most 2,000 characters), the items that have been added so far, and the writes of `fn` in one transaction. The
   * item continues. The next try finds the position in `item.position`.
   *
   * @throws PikoError `LEASE_LOST` if this node no longer owns the item: nothing is stored
   */
  checkpoint(position: string, fn?: (trx: SqlExecutor) => Promise<unknown>): Promise<void>
  /**
   * Keeps bytes for the next try and for a replay, in case this try fails or returns to the queue. Only the last call takes effect;
   * `undefined` keeps nothing.
   *
   * @param bytes a function is called only in these cases; if it throws, the bytes that an earlier try kept remain
   */
  keep(bytes: Uint8Array | (() => Uint8Array) | undefined): void
  /** Adds to the byte count that the run's status shows. */
  countBytes(bytes: number): void
  /** Leases a named state from one of the job's pools until the item ends. */
  state<T>(pool: string, options: LeaseOptions<T>): Promise<LeasedState<T>>
  /** Counts an outcome for a name. It is stored within about a second. @throws PikoError `USAGE` for an invalid name or `ms` */
  score(group: string, name: string, outcome: { readonly ok: boolean; readonly ms?: number }): void
  /** Returns the scores of a group of the job, by name. They may be two seconds old. */
  scores(group: string): Promise<ReadonlyMap<string, Score>>
}
