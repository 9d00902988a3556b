import { type BorrowedOf, type ResourceMap } from '../resource/resource.ts'
import { type SinkMap, type SinkWriters } from '../sink/sink.ts'
import { type SqlExecutor } from '../sql/sql.ts'
import { type Duration } from '../time/duration.ts'
import { type Window } from '../time/window.ts'
import { type Logger } from '../logger.ts'

/** How `ctx.map` fans out. */
export interface MapOptions {
  /** Calls under way at once. Default 8. */
  readonly concurrency?: number
}

/** How `ctx.lock` takes a lock. */
export interface RunLockOptions {
  /** How long the lock outlives its process; it is renewed while it is held. Default `'30s'`, at least one second. */
  readonly ttl?: Duration
  /** How long to wait while somebody else holds it. Default `'30s'`. */
  readonly wait?: Duration
}

/** A lock that is held. */
export interface HeldLock extends AsyncDisposable {
  readonly name: string
  /** Grows each time that the lock gets another owner: refuse a write that carries a smaller one. */
  readonly fence: number
  /** Aborts when the lock may belong to somebody else, with a `PikoError` `LOCK_LOST`. */
  readonly lost: AbortSignal
  /** Gives the lock back. Harmless when it is lost, or has been given back. */
  release(): Promise<void>
}

/**
 * What a handler receives.
 *
 * @typeParam R resources by name, @typeParam C parsed config, @typeParam S sinks by name,
 * @typeParam W the window: `Window` for a job with windows, else `undefined`
 */
export interface JobContext<
  R extends ResourceMap = Record<never, never>,
  C = Record<string, unknown>,
  S extends SinkMap = Record<never, never>,
  W extends Window | undefined = Window | undefined,
> {
  readonly runId: number
  readonly jobId: string
  /** 1 for the first try. */
  readonly attempt: number
  /** Grows with every claim of a run, and from one run of a window to the next: refuse a write that carries a smaller one. */
  readonly fence: number
  /** The tick for a scheduled run, else when the run was asked for. */
  readonly scheduledTime: Date
  /** The data interval `[start, end)` in UTC. */
  readonly window: W
  /** The job's config with the run's overrides, parsed by the spec's schema. */
  readonly config: C
  /** What the caller of `app.run` passed. */
  readonly input: unknown
  readonly resources: BorrowedOf<R>
  readonly sinks: SinkWriters<S>
  /** Joins timeout, lost lease and shutdown; `signal.reason` is a `PikoError` `RUN_TIMEOUT`, `LEASE_LOST` or `STOPPED`. */
  readonly signal: AbortSignal
  readonly log: Logger
  /**
   * Ends the run: what `fn` writes through `trx`, the run's success and its window's state are one transaction on the
   * database that Piko runs on, so that they happen together, once. Sinks are flushed before. A claim that was overtaken
   * is refused and all of it rolled back. `fn` is run again after a deadlock or a lost connection: let it write through `trx` alone.
   *
   * What follows in the handler can't fail the run any more; what it throws goes to the log.
   *
   * @returns what `fn` returned (any JSON value up to 1 MB), which is the run's output
   * @throws PikoError `LEASE_LOST` when the run is no longer this node's, `USAGE` for a second commit of a run
   * @throws the reason of `signal` when it has aborted, and whatever `fn` throws
   */
  commit<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
  /**
   * Takes a lock that one owner of all on this database holds at a time, and gives it back when the run ends, if not before. The
   * waiting ends with `signal`.
   *
   * @throws PikoError `LOCK_BUSY` when it is still held after `wait` (default `'30s'`)
   */
  lock(name: string, options?: RunLockOptions): Promise<HeldLock>
  /** Tells how far the run has come: the event `run.progress`, and a line in the log at debug level. Nothing is stored. */
  progress(done: number, total?: number, message?: string): void
  /**
   * Calls `fn` for every item, at most `concurrency` at once, and settles them all: order is kept, and what `fn` throws is a
   * result. Rejects when the run's signal aborts or the source of the items fails.
   */
  map<T, U>(
    items: Iterable<T> | AsyncIterable<T>,
    fn: (item: T, index: number) => Promise<U> | U,
    options?: MapOptions,
  ): Promise<PromiseSettledResult<U>[]>
}
