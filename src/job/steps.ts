import type { SqlExecutor } from '../sql/sql.ts'
import type { Duration } from '../time/duration.ts'
import type { RetrySpec } from '../run/retry.ts'

/** The argument of a step's function. */
export interface StepScope {
  /** The number of this call: 1 for the first one in the attempt, or with `ctx.until`, for the first one in all attempts. */
  readonly attempt: number
  /** Aborts with the run's signal and at the step's timeout. */
  readonly signal: AbortSignal
}

/** Options of a step. */
export interface StepOptions {
  /** Calls the function again after an error, within the same attempt of the run. Default: no retries. */
  readonly retry?: RetrySpec
  /** The time limit of one call to the function. Default: none. */
  readonly timeout?: Duration
}

/** Options of `ctx.stepMap`. */
export interface StepMapOptions<T> extends StepOptions {
  /** The part of a step's name that identifies the item. Default: the item, if it is a string or a number. */
  readonly key?: (item: T, index: number) => string | number
  /** The maximum number of steps that run at the same time. Default 8. */
  readonly concurrency?: number
}

/** Options of `ctx.until`. */
export interface UntilOptions {
  /** How long to wait after a call that was not ready. Then the run is due again. */
  readonly every: Duration
  /** The maximum wait since the first call, across all attempts. Default: no limit. */
  readonly for?: Duration
}

/** A value other than `false`, `null`, `undefined`, `0` and an empty string. */
export type Ready<T> = Exclude<T, false | null | undefined | 0 | ''>

/** Parts of a handler whose results are stored with the run. */
export interface Steps {
  /**
   * Calls `fn` and stores its result under this name, for all attempts of the run. After a failure, a crash or a replay, a call with the
   * same name returns the stored result without calling `fn`. Resolves when the result is stored. Nothing is stored if `fn` throws.
   *
   * @param name 1 to 128 characters, unique within the run, such as `` `page:${page}` ``
   * @param fn returns any JSON value up to 1 MB, or nothing
   * @throws PikoError `STEP_DUPLICATE`, `STEP_RESULT`, `STEP_TIMEOUT`; `LEASE_LOST` if this node no longer owns the run, so the result is
   * not stored; `USAGE` when a step can't run, for example after the handler has ended or in a transaction
   * @throws the reason of `ctx.signal` if it has aborted, and any error of `fn`
   */
  step<T>(
    name: string,
    fn: (step: StepScope) => Promise<T> | T,
    options?: StepOptions & { readonly transaction?: false },
  ): Promise<T>
  /**
   * Like `step` without `transaction: true`, but in a transaction on Piko's own database. The writes of `fn` through `trx` and the step's
   * result are stored together exactly once, or not at all. After a deadlock or a lost connection, everything is rolled back and `fn` is
   * called again, so it may only write through `trx`.
   */
  step<T>(
    name: string,
    fn: (trx: SqlExecutor, step: StepScope) => Promise<T> | T,
    options: StepOptions & { readonly transaction: true },
  ): Promise<T>
  /**
   * Runs a step for each item, named `name:key`, at most `concurrency` at the same time. Returns all results in the order of the items; an
   * error of `fn` is a result. In the next attempt, `fn` is called only for items without a stored step.
   *
   * @throws PikoError `STEP_DUPLICATE` if two items have the same key
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
   * Waits for something that takes minutes or hours, without occupying a slot. Calls `fn`. A result other than `false`, `null`,
   * `undefined`, `0` and an empty string is ready, and stored as a step. Otherwise this attempt ends without being counted, and the run is
   * due again after `every`: `ctx.signal` aborts with `STEP_WAITING`, and this call rejects with it.
   *
   * @throws PikoError `STEP_TIMEOUT` if it is not ready after the time in `for`, or after 65,000 claims of the run
   */
  until<T>(name: string, fn: (step: StepScope) => Promise<T> | T, options: UntilOptions): Promise<Ready<T>>
}
