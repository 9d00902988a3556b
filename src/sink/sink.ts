import type { z } from 'zod'
import { type Window } from '../time/window.ts'
import { type SqlDatabase } from '../sql/sql.ts'
import { type Logger } from '../logger.ts'

/** What rows are checked and routed by: a zod schema, or a class whose instances are the rows. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RowModel<T = any> = z.ZodType<T> | (abstract new (...args: never[]) => T)

/** What a handler receives for a model: what the schema puts out, or the class's instances. */
export type RowOf<M> =
  M extends z.ZodType<infer T> ? T : M extends abstract new (...args: never[]) => infer T ? T : never

/** What is written for a model: what the schema takes in, so that fields with a default may be left out. */
export type RowInputOf<M> = M extends z.ZodType ? z.input<M> : RowOf<M>

/** What a sink gets once per process, before its first run. */
export interface SinkEnv {
  /** The database that Piko itself runs on; a sink may as well use one of its own. */
  readonly sql: SqlDatabase
  readonly log: Logger
}

/** The run that writes. */
export interface SinkScope {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  readonly window: Window | undefined
  readonly signal: AbortSignal
  readonly log: Logger
  readonly sql: SqlDatabase
}

/** One delivery of rows of one model. */
export interface SinkBatch extends SinkScope {
  /** 0 for the first batch of this model in this attempt. */
  readonly index: number
  /** Unique per (job, window or run, model, batch) and the same in every attempt: an idempotency key. */
  readonly key: string
}

/**
 * A typed, batching, fenced writer of a run's output. Subclass it and mark methods with `@on(model)`, or use
 * `defineSink`. One instance per process; buffers are per run.
 */
export abstract class Sink {
  /** Rows per delivered batch. Default 1,000. */
  static readonly batchSize: number = 1_000

  /**
   * About how many bytes a batch holds in memory: a batch goes out before it has more. A row that is larger alone fails its write.
   * Default 8,000,000.
   */
  static readonly batchBytes: number = 8_000_000

  /** Called once per process before the first run; create tables here. When it fails, the next run calls it again. */
  open?(env: SinkEnv): Promise<void>

  /**
   * Called at the end of a successful attempt of a window, once for each model of this sink that it wrote no row of: clear
   * what earlier runs of the window left.
   */
  clear?(scope: SinkScope, model: RowModel): Promise<void>

  /** Called once at stop, also when `open` failed. */
  close?(): Promise<void>
}

export interface SinkClass<S extends Sink = Sink> {
  new (): S
  readonly batchSize: number
  readonly batchBytes: number
  readonly name: string
}

export type SinkMap = Readonly<Record<string, SinkClass>>

/** A run's end of a sink. */
export interface SinkWriter {
  /**
   * Checks and buffers one row or many (rows that are arrays themselves: always many). Waits while a full batch is being
   * delivered and the next one is full (back-pressure). A wrong row keeps all rows of its call out; when nobody awaits
   * the promise, the error of a refused call fails the run at its end.
   *
   * @throws PikoError `SINK_MODEL_UNKNOWN` when the sink has no `@on(model)`, `SINK_ROW_INVALID` with the row's index,
   * `SINK_FAILED` when an earlier delivery of this run failed, `STOPPED` when the attempt is over
   * @throws the reason of the run's signal once it has aborted
   */
  write<M extends RowModel>(model: M, rows: RowInputOf<M> | readonly RowInputOf<M>[]): Promise<void>
}

export type SinkWriters<S extends SinkMap> = { readonly [K in keyof S]: SinkWriter }
