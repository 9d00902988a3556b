import type { z } from 'zod'
import type { RetrySpec } from '../run/retry.ts'
import type { Duration } from '../time/duration.ts'
import type { Window } from '../time/window.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import type { Logger } from '../logger.ts'
import type { WrittenRows } from './written-rows.ts'

/** Checks and routes rows: a zod schema, or a class whose instances are the rows. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RowModel<T = any> = z.ZodType<T> | (abstract new (...args: never[]) => T)

/** The row type that a handler receives: the schema's output, or the class's instances. */
export type RowOf<M> =
  M extends z.ZodType<infer T> ? T : M extends abstract new (...args: never[]) => infer T ? T : never

/** The row type for writes: the schema's input, which may omit fields with a default. */
export type RowInputOf<M> = M extends z.ZodType ? z.input<M> : RowOf<M>

/**
 * What repeating a delivery does; `docs/sinks.md` compares them.
 *
 * - `transactional`: the rows and the check of the fence are one transaction of the target, which a repeat replaces.
 * - `idempotent`: a batch with the same key, or the same rows, changes nothing the second time.
 * - `atLeastOnce`: a repeat may store rows twice.
 */
export type SinkGuarantee = 'transactional' | 'idempotent' | 'atLeastOnce'

/** What the rows with one order have in common, such as their customer. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RowKey<T = any> = (row: T) => string | number | bigint | boolean | Date

/** A sink puts rows aside that its target refuses. */
export interface DeadLetterOptions {
  /** Rows that one attempt may put aside; one more fails it. Default 100. */
  readonly tolerate?: number
}

/** A sink stores batches on this host's disk while its target is down. */
export interface SpillOptions {
  /** Most bytes on disk for this sink on this host. Default 1,000,000,000. */
  readonly maxBytes?: number
  /** How long a write waits for room on the disk, before it fails with `SINK_SPILL_FULL`. Default `'30s'`. */
  readonly wait?: Duration
  /** Longest time between two tries to reach the target again. Default `'10s'`. */
  readonly retryEvery?: Duration
  /** Whether an error means that the target is down. Default: network errors, database outages, timeouts, HTTP status 408, 425, 429 and 5xx. */
  readonly isOutage?: (error: Error) => boolean
}

/** What routes, batches and secures the rows of a sink, whatever its target. */
export interface SinkRules {
  /** Rows per delivered batch. Default 1,000. */
  readonly batchSize?: number
  /**
   * About how many bytes a batch holds in memory: a batch is delivered before it exceeds this. A single larger row fails its write. Default
   * 8,000,000.
   */
  readonly batchBytes?: number
  /** The longest time that a row waits in a batch that is not full. Default: until the run ends. */
  readonly linger?: Duration
  /** Deliveries at the same time, per run. Default 1. */
  readonly writers?: number
  /** With several writers: rows of one key are delivered in order, one delivery after the other. Default: in any order. */
  readonly key?: RowKey
  /** Required for `retry`, `deadLetters` and `spill`, which deliver rows again. */
  readonly guarantee?: SinkGuarantee
  /** Tries a failed delivery again within the attempt, with the words of a job's `retry`. Default: no retry. */
  readonly retry?: RetrySpec
  /**
   * The longest time of one delivery, or of one `clear`. Then it fails as an outage, its signal aborts, and nobody waits for the method any
   * more. Default `'5m'`.
   */
  readonly timeout?: Duration
  /** Puts rows aside that the target refuses, and continues with the others. Default: a refused row fails the run. */
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

/** The writing run. */
export interface SinkScope {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  readonly window: Window | undefined
  /** The id of the item that writes. Undefined for a handler. A window then has many writers with one fence: use `merge`. */
  readonly itemId?: number
  /** Whether the run has items, so that they and its handler write the window. */
  readonly isShared?: boolean
  readonly signal: AbortSignal
  readonly log: Logger
  readonly sql: SqlDatabase
  /** Where fenced tables note the rows of a window, for proofs. */
  readonly written?: WrittenRows
}

/** One delivery of rows of one model. */
export interface SinkBatch extends SinkScope {
  /** 0 until rows of this model have been delivered in this attempt, then the number of the batch. */
  readonly index: number
  /**
   * Unique per (job, window or run, model, batch), and the same however often the batch is delivered: an idempotency key. It is also the
   * same in every attempt if the handler writes the same rows in the same order, and the sink has no `linger`.
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
  /** Rows per delivered batch. Default 1,000. */
  static readonly batchSize: number = 1_000

  /**
   * About how many bytes a batch holds in memory: a batch is delivered before it exceeds this. A single larger row fails its write. Default
   * 8,000,000.
   */
  static readonly batchBytes: number = 8_000_000

  /** See {@link SinkRules}, as for the following ones. */
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
   * Called at the end of a successful attempt of a window, once for each model of this sink without a written row. Clear what earlier runs
   * of the window left.
   */
  clear?(scope: SinkScope, model: RowModel): Promise<void>

  /**
   * Called at the end of a successful attempt, after the last delivery of all its sinks and before its success is stored. Publish what the
   * deliveries have prepared. If it fails, so does the attempt.
   */
  finish?(scope: SinkScope): Promise<void>

  /** Called after an attempt that did not succeed. Drop what its deliveries have prepared. */
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
 * The rows that a sink class receives: what the methods that it adds take as their first argument. `any` if it adds none, so a sink whose
 * methods TypeScript can't see takes every model.
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

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type OrAny<T> = [T] extends [never] ? any : T

/** Types the rows that a defined sink takes by name; no value has this property. */
export declare const namedRows: unique symbol

/** The rows that a sink class takes by the name of a route: the name of its method, or of an entry in `routes`. */
export type NamedRows<C> =
  C extends SinkClass<infer S>
    ? S extends { readonly [namedRows]?: infer Named extends object }
      ? Named
      : { readonly [K in keyof Omit<S, keyof Sink> as MethodRow<S[K]> extends never ? never : K]: MethodRow<S[K]> }
    : never

/** A run's writer for a sink. @typeParam Rows the rows of the sink's models @typeParam Named its rows by the name of their route */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface SinkWriter<Rows = any, Named = Readonly<Record<string, any>>> {
  /**
   * Checks and buffers one row or many (rows that are arrays themselves: always many). Waits while all writers deliver and the next batch
   * is full (back-pressure). A wrong row rejects all rows of its call. If nobody awaits the promise, the error fails the run at its end.
   *
   * @param model the class or schema of the rows
   * @throws PikoError `SINK_MODEL_UNKNOWN` if the sink has no such route, `SINK_ROW_INVALID` with the row's index, `SINK_FAILED` if an
   * earlier delivery of this run failed, `SINK_SPILL_FULL` if the disk has no room for it, `STOPPED` if the attempt is over
   * @throws the reason of the run's signal once it has aborted
   */
  write<M extends RowModel<Rows>>(model: M, rows: RowInputOf<M> | readonly RowInputOf<M>[]): Promise<void>
  /** The same by the name of a route. */
  write<K extends keyof Named & string>(route: K, rows: Named[K] | readonly Named[K][]): Promise<void>
}

export type SinkWriters<S extends SinkMap> = {
  readonly [K in keyof S]: SinkWriter<SinkRows<S[K]>, NamedRows<S[K]>>
}
