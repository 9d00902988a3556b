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

/** The context of a kind's function `dead`: the context of a handler, without the functions that end an item, add items or run steps. */
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
  /** Does the work. When it resolves, the item ends as done. The same transaction stores the items that it added with `ctx.items.add`. */
  readonly run: (item: Item<D>, ctx: ItemContext<R, C, S, W, I>) => unknown
  /**
   * Called for an item that failed and has no retries left, before the item is stored as dead. May take one minute. If the node dies before
   * the end is stored, the item is tried again, and this function may be called again. Its errors are logged. Not called for an item whose
   * nodes have died too often, or whose end the database has refused. Default: nothing is called.
   */
  readonly dead?: (item: DeadItem<D>, ctx: DeadContext<R, C, S, W, I>) => unknown
  /** The lane that an item queues in: at most 200 characters. Default: the name of the kind. */
  readonly lane?: (data: D) => string
  /** Limits of lanes by name, across all nodes; `'*'` is every lane without a name here. Default: no limits. */
  readonly lanes?: Readonly<Record<string, LaneSpec>>
  /** Jobs with the same scope share lanes of the same name. Default: the job's id. */
  readonly laneScope?: string
  /** How often an item is tried again, by class of error; `'*'`: every other class. A number is the limit. Default: 3, and 5 for `sink`. */
  readonly retry?: Readonly<Record<string, ItemRetrySpec | number>>
  /** Items with a smaller number come first in their lane: from −32,768 to 32,767. Default 0. */
  readonly priority?: number
  /** The time limit of one try. Default: none. */
  readonly timeout?: Duration
  /** The scope in which an item is unique. Default `'run'`. */
  readonly dedup?: DedupScope
  /**
   * Called once in each process before its first item of the kind, to open what the items need. Items that had to wait for it get another
   * start time in their lane, so that they do not all begin at the same time. If it fails, items begin anyway. Default: nothing is called.
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
  /** The run succeeds with at most this many dead items: a number, or a share such as `'1%'`. Default 0. */
  readonly dead?: number | `${number}%`
}

export interface ItemLimits {
  /** The maximum number of items of one run. Further ones are left out and counted as skipped. Default: no limit. */
  readonly items?: number
  /** The maximum depth of an item. Deeper ones are left out and counted as skipped. Default: no limit. */
  readonly depth?: number
}

// These types have no parameters left, because the registry and the engine store kinds with any types.
/* oxlint-disable typescript/no-explicit-any */
export type AnyItemKind = ItemKind<any, any, any, any, any, any>
export type AnyItemContext = ItemContext<any, any, any, any, any, any>
/* oxlint-enable typescript/no-explicit-any */

/** The `items` option of a job, of any shape. */
export type AnyItemKinds = Readonly<Record<string, AnyItemKind>>
