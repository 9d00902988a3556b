import type { z } from 'zod'
import { type Logger } from '../job/context.ts'
import { type Window } from '../time/window.ts'
import { type SqlDatabase } from './sql.ts'

/** What rows are checked and routed by: a zod schema, or a class whose instances are the rows. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RowModel<T = any> = z.ZodType<T> | (abstract new (...args: never[]) => T)

export type RowOf<M> = M extends z.ZodType<infer T> ? T : M extends abstract new (...args: never[]) => infer T ? T : never

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

  /** Called once per process before the first run writes; create tables here. */
  open?(env: SinkEnv): Promise<void>

  /** Called at the end of a successful attempt of a window that wrote no row at all: clear what earlier runs left. */
  clear?(scope: SinkScope): Promise<void>

  /** Called once at stop. */
  close?(): Promise<void>
}

export interface SinkClass<S extends Sink = Sink> {
  new (): S
  readonly batchSize: number
  readonly name: string
}

export type SinkMap = Readonly<Record<string, SinkClass>>

/** A run's end of a sink. */
export interface SinkWriter {
  /**
   * Checks and buffers one row or many. Waits while a full batch is being delivered (back-pressure).
   *
   * @throws PikoError `SINK_MODEL_UNKNOWN` when the sink has no `@on(model)`, `SINK_ROW_INVALID` with the row's index,
   * `SINK_FAILED` when an earlier delivery of this run failed
   */
  write<M extends RowModel>(model: M, rows: RowOf<M> | readonly RowOf<M>[]): Promise<void>
}

export type SinkWriters<S extends SinkMap> = { readonly [K in keyof S]: SinkWriter }
