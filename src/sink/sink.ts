import type { z } from 'zod'
import type { Window } from '../time/window.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import type { Logger } from '../logger.ts'

/** Checks and routes rows: a zod schema, or a class whose instances are the rows. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RowModel<T = any> = z.ZodType<T> | (abstract new (...args: never[]) => T)

/** The row type that a handler receives: the schema's output, or the class's instances. */
export type RowOf<M> =
  M extends z.ZodType<infer T> ? T : M extends abstract new (...args: never[]) => infer T ? T : never

/** The row type for writes: the schema's input, which may omit fields with a default. */
export type RowInputOf<M> = M extends z.ZodType ? z.input<M> : RowOf<M>

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

  /** Called once per process before the first run; create tables here. If it fails, the next run calls it again. */
  open?(env: SinkEnv): Promise<void>

  /**
   * Called at the end of a successful attempt of a window, once for each model of this sink without a written row. Clear what earlier runs
   * of the window left.
   */
  clear?(scope: SinkScope, model: RowModel): Promise<void>

  /** Called once at stop, even if `open` failed. */
  close?(): Promise<void>
}

export interface SinkClass<S extends Sink = Sink> {
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
  [K in keyof S]: S[K] extends (...args: never[]) => unknown
    ? Parameters<S[K]> extends [infer Rows extends readonly unknown[], ...unknown[]]
      ? Rows[number]
      : never
    : never
}[keyof S]

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type OrAny<T> = [T] extends [never] ? any : T

/** A run's writer for a sink. @typeParam Rows the rows of the sink's models */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface SinkWriter<Rows = any> {
  /**
   * Checks and buffers one row or many (rows that are arrays themselves: always many). Waits while one full batch is in delivery and the
   * next one is full (back-pressure). A wrong row rejects all rows of its call. If nobody awaits the promise, the error fails the run at
   * its end.
   *
   * @throws PikoError `SINK_MODEL_UNKNOWN` if the sink has no `@on(model)`, `SINK_ROW_INVALID` with the row's index, `SINK_FAILED` if an
   * earlier delivery of this run failed, `STOPPED` if the attempt is over
   * @throws the reason of the run's signal once it has aborted
   */
  write<M extends RowModel<Rows>>(model: M, rows: RowInputOf<M> | readonly RowInputOf<M>[]): Promise<void>
}

export type SinkWriters<S extends SinkMap> = { readonly [K in keyof S]: SinkWriter<SinkRows<S[K]>> }
