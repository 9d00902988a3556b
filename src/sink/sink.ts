import type { z } from 'zod'
import type { RetrySpec } from '../run/retry.ts'
import type { Duration } from '../time/duration.ts'
import type { Window } from '../time/window.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import type { Logger } from '../logger.ts'
import type { WrittenRows } from './written-rows.ts'

/** The kind of a row: a zod schema, or a class whose instances are the rows. The model also checks the rows. */
// oxlint-disable-next-line typescript/no-explicit-any
export type RowModel<T = any> = z.ZodType<T> | (abstract new (...args: never[]) => T)

/** The row type that a handler receives: the schema's output, or the class's instances. */
export type RowOf<M> =
  M extends z.ZodType<infer T> ? T : M extends abstract new (...args: never[]) => infer T ? T : never

/** The row type for writes: the input of the schema, in which fields with a default may be missing, or the class's instances. */
export type RowInputOf<M> = M extends z.ZodType ? z.input<M> : RowOf<M>

/**
 * The effect of delivering the same rows again; `docs/sinks.md` compares the guarantees.
 *
 * - `transactional`: each delivery is one transaction of the target, together with the check of the fence. A repeat replaces its rows.
 * - `idempotent`: a second delivery of a batch with the same key, or with the same rows, changes nothing.
 * - `atLeastOnce`: a second delivery may store rows twice.
 */
export type SinkGuarantee = 'transactional' | 'idempotent' | 'atLeastOnce'

/** Returns the key of a row, for example its customer. Rows with the same key keep their order. */
// oxlint-disable-next-line typescript/no-explicit-any
export type RowKey<T = any> = (row: T) => string | number | bigint | boolean | Date

/** Options for a sink that stores rows as dead letters if its target refuses them. */
export interface DeadLetterOptions {
  /** How many dead letters one attempt may have. One more fails the attempt. Default 100. */
  readonly tolerate?: number
}

/** Options for a sink that stores batches on this host's disk while its target is down. */
export interface SpillOptions {
  /** The maximum number of bytes on disk that this sink may use in one process; at least 65,536. Default 1,000,000,000. */
  readonly maxBytes?: number
  /** How long a write waits for space on disk before it fails with `SINK_SPILL_FULL`. Default `'30s'`. */
  readonly wait?: Duration
  /** The maximum time between two attempts to reach the target again. Default `'10s'`. */
  readonly retryEvery?: Duration
  /**
   * Whether an error means that the target is down. Default: network errors, database outages, timeouts, full disks, HTTP 408, 425, 429 and
   * 5xx, and errors that ask for a later retry.
   */
  readonly isOutage?: (error: Error) => boolean
}

/** The options of every sink, whatever its target: how rows are batched, repeated and kept. */
export interface SinkRules {
  /** The maximum number of rows per delivered batch. Default 1,000. */
  readonly batchSize?: number
  /**
   * The approximate memory of a batch in bytes: it is delivered before it exceeds this. A single larger row fails its write. Default
   * 8,000,000.
   */
  readonly batchBytes?: number
  /** The maximum time that a row waits in a batch that is not full. Default: until the run ends. */
  readonly linger?: Duration
  /** The maximum number of concurrent deliveries of one run, at most 64. Default 1. */
  readonly writers?: number
  /**
   * Returns the key of a row. With several writers, rows with the same key are delivered in order, one delivery after another. Default: in
   * any order.
   */
  readonly key?: RowKey
  /**
   * What happens if the same rows are delivered again. Required for `retry`, `deadLetters` and `spill`, because they deliver rows again.
   */
  readonly guarantee?: SinkGuarantee
  /** How a failed delivery is repeated within the attempt, with the options of a job's `retry`. Default: it is not repeated. */
  readonly retry?: RetrySpec
  /**
   * The time limit of one delivery, or of one `clear`. A call that exceeds it fails as an outage, its signal aborts, and the sink does not
   * wait for the method any more. Default `'5m'`.
   */
  readonly timeout?: Duration
  /**
   * Whether rows that the target refuses are stored as dead letters, so that the others are still delivered. Default: a refused row fails
   * the run.
   */
  readonly deadLetters?: boolean | DeadLetterOptions
  /** Whether batches are stored on disk while the target is down. Default: an outage fails the run. */
  readonly spill?: boolean | SpillOptions
}

/** What a sink gets once per process, before its first run. */
export interface SinkEnv {
  /** The database that Piko itself uses. A sink may also use another one. */
  readonly sql: SqlDatabase
  readonly log: Logger
}

/** The run that writes, and its attempt. */
export interface SinkScope {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  readonly window: Window | undefined
  /** The id of the item that writes; undefined in a handler. With items, many writers with the same fence write a window: use `merge`. */
  readonly itemId?: number
  /** Whether the rows come from the function `dead` of the item's kind. */
  readonly isDead?: boolean
  /** Whether the run has items. Then both its items and its handler write the window. */
  readonly isShared?: boolean
  readonly signal: AbortSignal
  readonly log: Logger
  readonly sql: SqlDatabase
  /** Where fenced tables record how many rows of a window they wrote, for proofs. */
  readonly written?: WrittenRows
}

/** One delivery of rows of one model. */
export interface SinkBatch extends SinkScope {
  /** The number of the batch. It is 0 until rows of this model have been delivered in this attempt, and at least 1 afterwards. */
  readonly index: number
  /**
   * An idempotency key: unique per job, window or run, model and batch, and the same in each delivery of the batch. It is also the same in
   * every attempt if the handler writes the same rows in the same order, and the sink has no `linger`.
   */
  readonly key: string
  /** The name of the sink. */
  readonly sink?: string
}

/**
 * A typed, batching, fenced writer of a run's output. Extend it and mark methods with `@on(model)`, or use `defineSink`. There is one
 * instance per process; buffers are per run.
 */
export abstract class Sink {
  /** The maximum number of rows per delivered batch. Default 1,000. */
  static readonly batchSize: number = 1_000

  /**
   * The approximate memory of a batch in bytes: it is delivered before it exceeds this. A single larger row fails its write. Default
   * 8,000,000.
   */
  static readonly batchBytes: number = 8_000_000

  /** {@link SinkRules} describes this option and those below. */
  static readonly linger?: Duration
  static readonly writers?: number
  static readonly key?: RowKey
  static readonly guarantee?: SinkGuarantee
  static readonly retry?: RetrySpec
  static readonly timeout?: Duration
  static readonly deadLetters?: boolean | DeadLetterOptions
  static readonly spill?: boolean | SpillOptions

  /** Called once per process before the first run, for example to create tables. If it fails, the next run calls it again. */
  open?(env: SinkEnv): Promise<void>

  /**
   * Called at the end of a successful attempt of a window, once for each model without any rows in this attempt. It should delete the rows
   * that earlier runs of the window have left. If the run has items, it is called for each model when all items have ended, and should
   * delete only the rows of earlier generations.
   */
  clear?(scope: SinkScope, model: RowModel): Promise<void>

  /**
   * Called at the end of a successful attempt, after the last delivery of all its sinks and before its success is stored. It should publish
   * what the deliveries have prepared. If it fails, the attempt fails too.
   */
  finish?(scope: SinkScope): Promise<void>

  /** Called after an attempt that did not succeed. It should drop what the deliveries have prepared. */
  discard?(scope: SinkScope): Promise<void>

  /** Called once at stop, even if `open` failed. */
  close?(): Promise<void>
}

export interface SinkClass<S extends Sink = Sink> extends SinkRules {
  new (): S
  readonly batchSize: number
  readonly batchBytes: number
  readonly name: string
}

export type SinkMap = Readonly<Record<string, SinkClass>>

/**
 * The rows that a sink class accepts: the first arguments of the methods that it adds. `any` if it adds none: TypeScript can't see the
 * methods of such a sink, so it accepts rows of every model.
 */
export type SinkRows<C> = C extends SinkClass<infer S> ? OrAny<RowsOfMethods<Omit<S, keyof Sink>>> : never

type RowsOfMethods<S> = {
  [K in keyof S]: MethodRow<S[K]>
}[keyof S]

type MethodRow<Method> = Method extends (...args: never[]) => unknown
  ? Parameters<Method> extends [infer Rows extends readonly unknown[], ...unknown[]]
    ? Rows[number]
    : never
  : never

// oxlint-disable-next-line typescript/no-explicit-any
type OrAny<T> = [T] extends [never] ? any : T

/** Only exists for the compiler: it contains the row types that a defined sink accepts by name. No value has this property. */
export declare const namedRows: unique symbol

/** The rows that a sink class accepts by the name of a route: the name of a method, or of an entry in `routes`. */
export type NamedRows<C> =
  C extends SinkClass<infer S>
    ? S extends { readonly [namedRows]?: infer Named extends object }
      ? Named
      : { readonly [K in keyof Omit<S, keyof Sink> as MethodRow<S[K]> extends never ? never : K]: MethodRow<S[K]> }
    : never

/**
 * Writes rows of a run to a sink.
 *
 * @typeParam Rows the rows of the sink's models
 * @typeParam Named its rows, by the name of the route
 */
// oxlint-disable-next-line typescript/no-explicit-any
export interface SinkWriter<Rows = any, Named = Readonly<Record<string, any>>> {
  /**
   * Checks and buffers one row or a list of rows (if the rows themselves are arrays, pass a list). Waits while all writers deliver and the
   * next batch is full (back-pressure). A wrong row rejects all rows of its call. If no code awaits the promise, the error fails the run at
   * its end.
   *
   * @param model the class or schema of the rows
   * @throws PikoError `SINK_MODEL_UNKNOWN` if the sink has no such route, `SINK_ROW_INVALID` with the row's index, `SINK_FAILED` if an
   * earlier delivery of this run failed, `SINK_SPILL_FULL` if the spill has no room for a batch, `STOPPED` if the attempt is over
   * @throws the reason of the run's signal when it has aborted
   */
  write<M extends RowModel<Rows>>(model: M, rows: RowInputOf<M> | readonly RowInputOf<M>[]): Promise<void>
  /** Writes rows like the other form, but with the name of a route instead of the model. */
  write<K extends keyof Named & string>(route: K, rows: Named[K] | readonly Named[K][]): Promise<void>
}

export type SinkWriters<S extends SinkMap> = {
  readonly [K in keyof S]: SinkWriter<SinkRows<S[K]>, NamedRows<S[K]>>
}
