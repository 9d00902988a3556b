import type { Duration } from '../../time/duration.ts'

/** The data of each kind of item of a job, by the kind's name. */
export type ItemData = Readonly<Record<string, unknown>>

/** Where an item is unique: within its run, within its job forever, within its job for a length of time, or nowhere. */
export type DedupScope = 'run' | 'job' | false | { readonly within: Duration }

/** A value, or a function that returns it for each item. */
export type PerItem<D, T> = T | ((data: D, index: number) => T)

export interface AddItemOptions<D> {
  /**
   * Identifies the item, so that it is added only once; at most 2,048 characters. Default: the data, if it is a string or a number. Without
   * a key, an item is never a duplicate.
   */
  readonly key?: PerItem<D, string | number>
  /** The lane of the item. Default: the lane that its kind chooses. */
  readonly lane?: PerItem<D, string | undefined>
  readonly priority?: PerItem<D, number | undefined>
  /** When the item may be claimed: an instant, or a duration from now. Default: now. */
  readonly due?: PerItem<D, Date | Duration | undefined>
  readonly depth?: PerItem<D, number | undefined>
  /** Overrides the kind's `dedup`. With `false`, the item is never a duplicate, whatever its key. */
  readonly dedup?: PerItem<D, DedupScope | undefined>
}

/** Adds items to the run. */
export interface ItemAdder<M extends ItemData> {
  /**
   * Adds items of a kind. In the job's handler, they are stored in transactions of up to 1,000 while `values` is read, and may begin
   * immediately. If the handler is restarted, it adds none of them again. In an item's function, they are stored with its next checkpoint
   * or its end.
   *
   * @param values a list, an iterable or an async generator of JSON values of at most 1 MB each
   * @returns in the handler, how many are new and how many were known; in an item's function, all count as new
   * @throws PikoError `ITEM_INVALID` naming the first wrong value, `USAGE`; `LEASE_LOST` if this node no longer owns the run
   */
  add<K extends keyof M & string>(
    kind: K,
    values: Iterable<M[K]> | AsyncIterable<M[K]>,
    options?: AddItemOptions<M[K]>,
  ): Promise<AddedItems>
}

export interface AddedItems {
  readonly added: number
  readonly duplicates: number
}
