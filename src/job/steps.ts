import type { SqlExecutor } from '../sql/sql.ts'
import type { Duration } from '../time/duration.ts'
import type { RetrySpec } from '../run/retry.ts'

/** What the function of a step gets. */
export interface StepScope {
  /** The call of the function in this attempt: 1 for the first. */
  readonly attempt: number
  /** Joins the run's signal with the step's timeout. */
  readonly signal: AbortSignal
}

/** How a step runs. */
export interface StepOptions {
  /** Calls the function again after an error, within the same attempt of the run. Default: not. */
  readonly retry?: RetrySpec
  /** Longest time of one call of the function. Default: none. */
  readonly timeout?: Duration
}

/** How `ctx.stepMap` runs its steps. */
export interface StepMapOptions<T> extends StepOptions {
  /** The part of a step's name that says which item it is. Default: the item, if it is a text or a number. */
  readonly key?: (item: T, index: number) => string | number
  /** Steps that run at the same time. Default 8. */
  readonly concurrency?: number
}

/** How `ctx.until` waits. */
export interface UntilOptions {
  /** How long after a call that was not ready the run returns. */
  readonly every: Duration
  /** The longest wait since the first call, across all attempts. Default: no limit. */
  readonly for?: Duration
}

/** A value that is not `false`, `null`, `undefined`, `0` or empty. */
export type Ready<T> = Exclude<T, false | null | undefined | 0 | ''>

/** Parts of a handler whose results the run remembers. */
export interface Steps {
  /**
   * Calls `fn` and remembers its result under this name, once and for all attempts of the run: after a failure, a crash or a replay, the
   * same name returns the stored result and `fn` is not called. Resolves when the result is stored. A call that throws is not remembered.
   *
   * @param name 1 to 128 characters, unique within the run, such as `` `page:${page}` ``
   * @param fn returns any JSON value up to 1 MB, or nothing
   * @throws PikoError `STEP_DUPLICATE`, `STEP_RESULT`, `STEP_TIMEOUT`; `LEASE_LOST` if this node no longer owns the run: the result is not
   * remembered then; `USAGE` once the handler has ended
   * @throws the reason of `ctx.signal` if it has aborted, and any error of `fn`
   */
  step<T>(
    name: string,
    fn: (step: StepScope) => Promise<T> | T,
    options?: StepOptions & { readonly transaction?: false },
  ): Promise<T>
  /**
   * The same in a transaction on Piko's own database: what `fn` writes through `trx` and the step's result are stored together, once, or
   * not at all. `fn` runs again after a deadlock or a lost connection, always after everything was rolled back, so it may only write
   * through `trx`.
   */
  step<T>(
    name: string,
    fn: (trx: SqlExecutor, step: StepScope) => Promise<T> | T,
    options: StepOptions & { readonly transaction: true },
  ): Promise<T>
  /**
   * A step for each item, named `name:key`, with as many at the same time as `concurrency` says. Settles them all in the order of the
   * items; an error of `fn` is a result. In the next attempt, only steps that are missing call `fn`.
   *
   * @throws PikoError `STEP_DUPLICATE` if two items have one key
   * @throws the reason of `ctx.signal` if it aborts, and any error of the source of the items
   */
  stepMap<T extends string | number, U>(
    name: string,
    items: Iterable<T> | AsyncIterable<T>,
    fn: (item: T, index: number, step: StepScope) => Promise<U> | U,
    options?: StepMapOptions<T>,
  ): Promise<PromiseSettledResult<U>[]>
  stepMap<T, U>(
    name: string,
    items: Iterable<T> | AsyncIterable<T>,
    fn: (item: T, index: number, step: StepScope) => Promise<U> | U,
    options: StepMapOptions<T> & Required<Pick<StepMapOptions<T>, 'key'>>,
  ): Promise<PromiseSettledResult<U>[]>
  /**
   * Waits for something that takes minutes or hours, without a slot. Calls `fn`. A result that is ready (anything but `false`, `null`,
   * `undefined`, `0` and an empty text) is remembered as a step. Otherwise this attempt ends, uncounted, and the run returns after
   * `every`: `ctx.signal` aborts with `STEP_WAITING`, and this call rejects with it.
   *
   * @throws PikoError `STEP_TIMEOUT` if it is not ready after the time in `for`, or after 65,000 claims of the run
   */
  until<T>(name: string, fn: (step: StepScope) => Promise<T> | T, options: UntilOptions): Promise<Ready<T>>
}
