import type { z } from 'zod'
import type { RetrySpec } from '../run/retry.ts'
import type { Duration } from '../time/duration.ts'
import type { Window } from '../time/window.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import type { Logger } from '../logger.ts'
import type { WrittenRows } from './written-rows.ts'

/** Identifies and checks the rows of one kind: a zod schema, or a class whose instances are the rows. */
// oxlint-disable-next-line typescript/no-explicit-any
export type RowModel<T = any> = z.ZodType<T> | (abstract new (...args: never[]) => T)

/** The row type that a handler receives: the schema's output, or the class's instances. */
export type RowOf<M> =
  M extends z.ZodType<infer T> ? T : M extends abstract new (...args: never[]) => infer T ? T : never

/** The row type for writes: the input of the schema, which may omit fields with a default, or the class's instances. */
export type RowInputOf<M> = M extends z.ZodType ? z.input<M> : RowOf<M>

/**
 * The effect of delivering the same rows again; `docs/sinks.md` compares the guarantees.
 *
 * - `transactional`: each delivery is one transaction of the target, together with the check of the fence. A repeat replaces its rows.
 * - `idempotent`: a second delivery of a batch with the same key, or with the same rows, changes nothing.
 * - `atLeastOnce`: a second delivery may store rows twice.
 */
export type SinkGuarantee = 'transactional' | 'idempotent' | 'atLeastOnce'

/** Returns the value that rows must share to keep their order, such as their customer. */
// oxlint-disable-next-line typescript/no-explicit-any
export type RowKey<T = any> = (row: T) => string | number | bigint | boolean | Date

/** Options of a sink that puts aside the rows that its target refuses. */
export interface DeadLetterOptions {
  /** How many rows one attempt may put aside. One more fails the attempt. Default 100. */
  readonly tolerate?: number
}

/** Options of a sink that stores batches on this host's disk while its target is down. */
export interface SpillOptions {
  /** The maximum number of bytes on disk for this sink in one process, at least 65,536. Default 1,000,000,000. */
  readonly maxBytes?: number
  /** How long a write waits for room on disk before it fails with `SINK_SPILL_FULL`. Default `'30s'`. */
  readonly wait?: Duration
  /** The maximum time between two tries to reach the target again. Default `'10s'`. */
  readonly retryEvery?: Duration
  /** Whether an error means that the target is down. Default: network errors, database outages, timeouts, HTTP 408, 425, 429 and 5xx. */
  readonly isOutage?: (error: Error) => boolean
}

/** The options of every sink, whatever its target: how rows are batched, repeated and kept. */
export interface SinkRules {
  /** The number of rows per delivered batch. Default 1,000. */
  readonly batchSize?: number
  /**
   * The approximate bytes that a batch holds in memory: it is delivered before it exceeds this. A single larger row fails its write.
   * Default 8,000,000.
   */
  readonly batchBytes?: number
  /** The maximum time that a row waits in a batch that is not full. Default: until the run ends. */
  readonly linger?: Duration
  /** The number of deliveries of one run at the same time, at most 64. Default 1. */
  readonly writers?: number
  /** With several writers: rows of one key are delivered in order, one delivery after the other. Default: in any order. */
  readonly key?: RowKey
  /** The effect of delivering the same rows again. Required for `retry`, `deadLetters` and `spill`, which deliver rows again. */
  readonly guarantee?: SinkGuarantee
  /** Repeats a failed delivery within the attempt. The options are those of a job's `retry`. Default: it is not repeated. */
  readonly retry?: RetrySpec
  /**
   * The time limit of one delivery, or of one `clear`. After it, the call fails as an outage, its signal aborts, and the sink no longer
   * waits for the method. Default `'5m'`.
   */
  readonly timeout?: Duration
  /** Puts aside the rows that the target refuses, and continues with the others. Default: a refused row fails the run. */
  readonly deadLetters?: boolean | DeadLetterOptions
  /** Stores batches on disk while the target is down. Default: an outage fails the run. */
  readonly spill?: boolean | SpillOptions
}

/** Passed to a sink once per process, before its first run. */
export interface SinkEnv {
  /** The database that Piko itself runs on; a sink may also use its own. */
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
  /** The id of the item that writes; undefined for a handler. With items, a window has many writers with the same fence: use `merge`. */
  readonly itemId?: number
  /** Whether the rows come from the function `dead` of the item's kind. */
  readonly isDead?: boolean
  /** Whether the run has items, so that both its items and its handler write the window. */
  readonly isShared?: boolean
  readonly signal: AbortSignal
  readonly log: Logger
  readonly sql: SqlDatabase
  /** Where fenced tables record how many rows of a window they wrote, for proofs. */
  readonly written?: WrittenRows
}

/** One delivery of rows of one model. */
export interface SinkBatch extends SinkScope {
  /**
   * The number of the batch: 0 until rows of this model have been delivered in this attempt; afterwards at least 1.
   */
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
  /** The number of rows per delivered batch. Default 1,000. */
  static readonly batchSize: number = 1_000

  /**
   * The approximate bytes that a batch holds in memory: it is delivered before it exceeds this. A single larger row fails its write.
   * Default 8,000,000.
   */
  static readonly batchBytes: number = 8_000_000

  /** {@link SinkRules} describes this option and the following ones. */
  static readonly linger?: Duration
  static readonly writers?: number
  static readonly key?: RowKey
  static readonly guarantee?: SinkGuarantee
  static readonly retry?: RetrySpec
  static readonly timeout?: Duration
  static readonly deadLetters?: boolean | DeadLetterOptions
  static readonly spill?: boolean | SpillOptions

  /** Called once per process before the first run; create tables here. If it fails, the next run calls it again. */
  open?(env: SinkEnv): Promise<void>

  /**
   * Called at the end of a successful attempt of a window, once for each model of which the attempt wrote no row. Should delete the rows
   * that earlier runs of the window left.
   */
  clear?(scope: SinkScope, model: RowModel): Promise<void>

  /**
   * Called at the end of a successful attempt, after the last delivery of all its sinks and before its success is stored. Should publish
   * what the deliveries have prepared. If it fails, the attempt fails too.
   */
  finish?(scope: SinkScope): Promise<void>

  /** Called after an attempt that did not succeed. Should drop what its deliveries have prepared. */
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
 * The rows that a sink class receives: the first arguments of the methods that it adds. `any` if it adds none, so that a sink whose methods
 * TypeScript can't see accepts rows of every model.
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

/** It exists only for types: it carries the row types that a defined sink takes by name. No value has this property. */
export declare const namedRows: unique symbol

/** The rows that a sink class takes by the name of a route: the name of its method, or of an entry in `routes`. */
export type NamedRows<C> =
  C extends SinkClass<infer S>
    ? S extends { readonly [namedRows]?: infer Named extends object }
      ? Named
      : { readonly [K in keyof Omit<S, keyof Sink> as MethodRow<S[K]> extends never ? never : K]: MethodRow<S[K]> }
    : never

/** A run's writer for a sink. @typeParam Rows the rows of the sink's models @typeParam Named its rows by the name of their route */
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
   * @throws the reason of the run's signal once it has aborted
   */
  write<M extends RowModel<Rows>>(model: M, rows: RowInputOf<M> | readonly RowInputOf<M>[]): Promise<void>
  /** Like the other form, with the name of a route instead of its model. */
  write<K extends keyof Named & string>(route: K, rows: Named[K] | readonly Named[K][]): Promise<void>
}

export type SinkWriters<S extends SinkMap> = {
  readonly [K in keyof S]: SinkWriter<SinkRows<S[K]>, NamedRows<S[K]>>
}
