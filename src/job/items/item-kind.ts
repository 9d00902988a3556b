import type { ItemRetrySpec } from '../../item/budget.ts'
import type { Item } from '../../item/item.ts'
import type { LaneSpec } from '../../item/lane.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { Duration } from '../../time/duration.ts'
import type { Window } from '../../time/window.ts'
import type { JobContext } from '../context.ts'
import type { DedupScope, ItemData } from './adding.ts'
import type { ItemContext } from './item-context.ts'

/** An item that failed and has no retries left. */
export interface DeadItem<D = unknown> extends Item<D> {
  /** The class of the item's last error. */
  readonly class: string
  readonly error: Error
}

/** The context of a kind's function `dead`: the context of a handler, without steps, `commit`, `items`, `progress` and `onConfigChange`. */
export type DeadContext<
  R extends ResourceMap = ResourceMap,
  C = unknown,
  S extends SinkMap = SinkMap,
  W extends Window | undefined = Window | undefined,
  I = unknown,
> = Omit<JobContext<R, C, S, W, I>, 'step' | 'stepMap' | 'until' | 'commit' | 'items' | 'progress' | 'onConfigChange'>

/**
 * A kind of item of a job. TypeScript infers `ctx`; write the type of the data: `run: async (item: Item<Page>, ctx) => …` and
 * `lane: (page: Page) => page.host`.
 */
export interface ItemKind<
  D = unknown,
  R extends ResourceMap = ResourceMap,
  C = unknown,
  S extends SinkMap = SinkMap,
  W extends Window | undefined = Window | undefined,
  I = unknown,
> {
  /**
   * Does the work. When it resolves, the item ends as done. The items that it has added with `ctx.items.add` are stored in the same
   * transaction.
   */
  readonly run: (item: Item<D>, ctx: ItemContext<R, C, S, W, I>) => unknown
  /**
   * Called for an item that failed and has no retries left, before the item is stored as dead. May take one minute. If the node dies before
   * the end is stored, the item is tried again, and this function may be called again. Its errors are logged. Not called if the item is
   * dead because too many nodes died while they executed it, or because the database refused its end. Default: no function.
   */
  readonly dead?: (item: DeadItem<D>, ctx: DeadContext<R, C, S, W, I>) => unknown
  /** Returns the lane of an item: at most 200 characters. Default: the name of the kind. */
  readonly lane?: (data: D) => string
  /** The limits of lanes by name, across all nodes. `'*'` applies to every lane that has no entry. Default: no limits. */
  readonly lanes?: Readonly<Record<string, LaneSpec>>
  /** The scope of the lane names. Jobs with the same scope share their lanes. Default: the job's id. */
  readonly laneScope?: string
  /**
   * How often an item is retried, by error class; `'*'` applies to every other class except `sink`. A number alone is the maximum number of
   * retries. Default: 3, and 5 for `sink`.
   */
  readonly retry?: Readonly<Record<string, ItemRetrySpec | number>>
  /** Items with a smaller number begin first in their lane: from −32,768 to 32,767. Default 0. */
  readonly priority?: number
  /**
   * When an item takes its turn in a lane with a rate. `'start'`: just before `run` is called. `'call'`: when `run` calls
   * `ctx.lane.turn()`, which it must do just before it sends something. Then other work of `run` does not disturb the rate. Default
   * `'start'`.
   */
  readonly turn?: 'start' | 'call'
  /** The time limit of one try. Default: none. */
  readonly timeout?: Duration
  /** The scope in which an item's key is unique. Default `'run'`. */
  readonly dedup?: DedupScope
  /**
   * Called once in each process, before the kind's first item, to open what the items need. If it fails, the items begin anyway. Default: no
   * function.
   */
  readonly prepare?: () => unknown
}

/** The kinds of items of a job. */
export type ItemKinds<
  M extends ItemData,
  R extends ResourceMap,
  C,
  S extends SinkMap,
  W extends Window | undefined,
  I,
> = {
  readonly [K in keyof M]: ItemKind<M[K], R, C, S, W, I>
}

/** How many items of a run may fail. */
export interface ItemTolerance {
  /** How many dead items a successful run may have: a number, or a share such as `'1%'`. Default 0. */
  readonly dead?: number | `${number}%`
}

export interface ItemLimits {
  /** The maximum number of items of a run. Further ones are left out; `left` counts them. Default: no limit. */
  readonly items?: number
  /** The maximum depth of an item. Deeper ones are left out; `left` counts them. Default: no limit. */
  readonly depth?: number
}

// All type parameters are `any`, because the registry and the engine store kinds of every type.
/* oxlint-disable typescript/no-explicit-any */
export type AnyItemKind = ItemKind<any, any, any, any, any, any>
export type AnyItemContext = ItemContext<any, any, any, any, any, any>
/* oxlint-enable typescript/no-explicit-any */

/** The `items` option of a job, with any types. */
export type AnyItemKinds = Readonly<Record<string, AnyItemKind>>
