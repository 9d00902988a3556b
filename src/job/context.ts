import type { MapOptions } from '../calls/map-items.ts'
import type { RunCalls } from '../calls/run-calls.ts'
import type { BorrowedOf, ResourceMap } from '../resource/resource.ts'
import type { SinkMap, SinkWriters } from '../sink/sink.ts'
import type { FleetLimit } from '../run/fleet-limit.ts'
import type { SqlExecutor } from '../sql/sql.ts'
import type { Duration } from '../time/duration.ts'
import type { Window } from '../time/window.ts'
import type { Logger } from '../logger.ts'
import type { Cache, CacheDefinition } from './cached-value.ts'
import type { SharedDefinition, SharedHandle } from './shared-value.ts'
import type { ItemAdder, ItemData } from './items/adding.ts'
import type { Steps } from './steps.ts'

/** Options of `ctx.lock`. */
export interface RunLockOptions {
  /** How long the lock remains after its process has died. Piko renews a lock while it is held. Default `'30s'`, at least one second. */
  readonly ttl?: Duration
  /** How long to wait while another owner holds the lock. Default `'30s'`. */
  readonly wait?: Duration
}

/** A lock that the caller holds. */
export interface HeldLock extends AsyncDisposable {
  readonly name: string
  /** Increases each time the lock gets another owner. A target should refuse writes with a smaller fence. */
  readonly fence: number
  /** Aborts with a `PikoError` `LOCK_LOST` when another owner may have the lock. */
  readonly lost: AbortSignal
  /** Releases the lock. Has no effect if the lock is lost or already released. */
  release(): Promise<void>
}

/**
 * The context of a handler.
 *
 * @typeParam R the resources by name
 * @typeParam C the parsed config
 * @typeParam S the sinks by name
 * @typeParam W the window: `Window` for a job with windows, otherwise `undefined`
 * @typeParam I the parsed input
 * @typeParam M the data of the job's items by kind
 */
export interface JobContext<
  R extends ResourceMap = Record<never, never>,
  C = Record<string, unknown>,
  S extends SinkMap = Record<never, never>,
  W extends Window | undefined = Window | undefined,
  I = unknown,
  M extends ItemData = Record<never, never>,
> extends Steps {
  readonly runId: number
  readonly jobId: string
  /** The number of the attempt; 1 for the first. */
  readonly attempt: number
  /** Increases with every claim of a run, and from one run of a window to the next. A target should refuse writes with a smaller fence. */
  readonly fence: number
  /** The tick of the run, if it has one. Otherwise, when this attempt became due. */
  readonly scheduledTime: Date
  /** The data interval `[start, end)` in UTC. */
  readonly window: W
  /** The job's config with the run's overrides, parsed by the spec's schema. */
  readonly config: C
  /**
   * The input that the caller of `app.run` passed. If the spec has a schema for it, the input is the output of the schema; otherwise it is
   * unchanged.
   */
  readonly input: I
  readonly resources: BorrowedOf<R>
  readonly sinks: SinkWriters<S>
  /** Adds items to the run, for a job with the `items` option. The run ends when they have ended. */
  readonly items: ItemAdder<M>
  /**
   * Aborts at the timeout, on a cancel, when the lease is lost, at shutdown, or when `until` ends the attempt. `signal.reason` is a
   * `PikoError` `RUN_TIMEOUT`, `RUN_CANCELLED`, `LEASE_LOST`, `STOPPED` or `STEP_WAITING`.
   */
  readonly signal: AbortSignal
  readonly log: Logger
  /**
   * Ends the run. The writes of `fn` through `trx`, the run's success and its window's state are one transaction on Piko's own database. So
   * all of them are stored exactly once, or none. Flushes the sinks first. If another node has claimed the run, rolls everything back.
   * Calls `fn` again after a deadlock or a lost connection, so `fn` may only write through `trx`.
   *
   * After the commit, the handler can't fail the run any more; its errors go to the log.
   *
   * @returns the result of `fn` (any JSON value up to 1 MB), which becomes the run's output
   * @throws PikoError `LEASE_LOST` if this node no longer owns the run, `USAGE` for a second commit of a run
   * @throws the reason of `signal` if it has aborted, and any error of `fn`
   */
  commit<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
  /**
   * Acquires a lock that only one owner on this database can hold at a time. If the handler does not release it, it is released when the
   * run ends. An abort of `signal` ends the wait.
   *
   * @throws PikoError `LOCK_BUSY` if another owner still holds it after `wait` (default `'30s'`)
   */
  lock(name: string, options?: RunLockOptions): Promise<HeldLock>
  /**
   * A rate limit that all nodes share: `await ctx.limit('api', '5/s').take()`. In any span of the rate's length, all nodes together take at
   * most the larger of the rate's count and `burst`.
   *
   * @throws PikoError `USAGE`
   */
  readonly limit: FleetLimit
  /**
   * Returns a value that all nodes share. The end of the run also ends calls that are waiting for a new value. Values whose definitions
   * exist before the app starts are loaded before any run begins.
   *
   * @example const { rate } = ctx.shared(Rates).value
   */
  shared<T, I>(definition: SharedDefinition<T, I>): SharedHandle<T, I>
  /**
   * Returns the cache of a definition. All runs of this process share it. The end of the run also ends calls that are waiting for a value.
   *
   * @example const rate = await ctx.cache(rates).fetch('EUR', (signal) => load('EUR', signal))
   */
  cache<V>(definition: CacheDefinition<V>): Cache<V>
  /**
   * Reports the progress of the run. Emits `run.progress` and logs a line at debug level. The last report is stored within about a second;
   * `app.runs.show` and `piko runs show` show it with rate and ETA. Frequent calls are cheap. Never throws: ignores a report whose `done`
   * or `total` is not a number of 0 or more, and writes a warning to the run's log.
   *
   * @param total an estimate; `done` may exceed it
   * @param message at most 500 characters are stored, without secrets
   */
  progress(done: number, total?: number, message?: string): void
  /**
   * Calls `fn` when another version of the job's config takes effect while the handler runs. This is at most two polls after the version
   * was saved. `fn` receives the whole config, with the run's own overrides, parsed by the schema. Ignores a version that the schema
   * refuses, and writes a warning to the run's log. Errors of `fn` go to the log and have no other effect. `ctx.config` does not change.
   * @returns a function that stops these calls; otherwise they stop when the attempt ends
   */
  onConfigChange(fn: (config: C, version: number) => unknown): () => void
  /**
   * Calls `fn` for every item, at most `concurrency` at the same time, and waits for all results. Results keep the order of the items, and
   * an error of `fn` becomes a result. Rejects if the run's signal aborts, the source of the items fails, or `stopOn` returns true.
   *
   * @param fn receives a signal that aborts with the run's, at the end of `timeout`, and when `stopOn` ends the map
   * @throws PikoError `USAGE`
   */
  map<T, U>(
    items: Iterable<T> | AsyncIterable<T>,
    fn: (item: T, index: number, signal: AbortSignal) => Promise<U> | U,
    options?: MapOptions,
  ): Promise<PromiseSettledResult<U>[]>
  /**
   * `retry`, `timeout`, `first`, `completed` and `batches` of `piko/async`, as calls that end with the run's signal. The objects of
   * `piko/async`, such as a limiter, exist longer than one run: pass `ctx.signal` to their calls.
   */
  readonly async: RunCalls
}
