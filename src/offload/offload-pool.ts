import { isDeepStrictEqual } from 'node:util'
import type { CallOptions, OffloadCall, WantedCall } from './pool/offload-call.ts'
import { type FailureReason, PoolFigures } from './pool/pool-figures.ts'
import { type OffloadOptions, type PoolOptions, poolOptions } from './pool/pool-options.ts'
import { ThreadPool } from './pool/thread-pool.ts'

/** The current state of a pool, and its figures since the process started. */
export interface OffloadStats {
  /** How many threads may run at the same time. */
  readonly size: number
  /** How many threads exist now. */
  readonly threads: number
  /** How many calls are being executed. */
  readonly running: number
  readonly waiting: number
  /** How many threads were replaced because of `recycle`. */
  readonly recycled: number
  /** How many calls have failed, by reason. */
  readonly failures: Readonly<Partial<Record<FailureReason, number>>>
}

/**
 * Worker threads that execute calls.
 *
 * The pool is *closed* until the first call, which starts threads and makes it *open*. A close makes it *closing*: it refuses new calls
 * until the earlier ones have ended. Then it is *closed* again, and a later call opens it.
 */
export class OffloadPool {
  readonly name: string
  readonly figures = new PoolFigures()
  #declared: OffloadOptions
  #overrides: OffloadOptions = {}
  #options: PoolOptions
  #threads: ThreadPool | undefined
  /** Pools with earlier options that are still executing calls. */
  readonly #retired = new Set<ThreadPool>()

  /** @throws PikoError `SETTINGS_INVALID` */
  constructor(options: OffloadOptions = {}, name = 'unnamed') {
    this.name = name
    this.#declared = options
    this.#options = poolOptions(options)
  }

  /**
   * Replaces all options; a missing option gets its default. Later calls use the new options, and earlier calls keep their threads. So for
   * a moment, there may be more threads than either set of options allows.
   *
   * @throws PikoError `SETTINGS_INVALID`
   */
  configure(options: OffloadOptions): void {
    this.#apply(options, this.#overrides)
    this.#declared = options
  }

  /**
   * Sets options that take precedence over the declared ones. They take effect as in {@link configure}.
   *
   * @throws PikoError `SETTINGS_INVALID`
   */
  override(overrides: OffloadOptions): void {
    this.#apply(this.#declared, overrides)
    this.#overrides = overrides
  }

  get stats(): OffloadStats {
    const pools = [...this.#retired, ...(this.#threads === undefined ? [] : [this.#threads])]
    const sum = (count: (pool: ThreadPool) => number): number => pools.reduce((total, pool) => total + count(pool), 0)
    return {
      size: this.#options.size,
      threads: sum((pool) => pool.threads),
      running: sum((pool) => pool.running),
      waiting: sum((pool) => pool.waiting),
      recycled: this.figures.recycled,
      failures: Object.fromEntries(this.figures.failures),
    }
  }

  /** The time limit of each call in milliseconds; undefined: none. */
  get timeoutMs(): number | undefined {
    return this.#options.timeoutMs
  }

  /** @internal See {@link ThreadPool.add}. */
  call(wanted: WantedCall, options: CallOptions, signal?: AbortSignal): OffloadCall {
    this.#threads ??= new ThreadPool(this.#options, this.figures)
    return this.#threads.add(wanted, options, signal)
  }

  /**
   * Waits for the waiting and running calls, then ends the threads. A later call opens the pool again. While one close is waiting, `close`
   * may be called again with a signal that aborts earlier.
   *
   * @param signal aborting it ends these calls immediately; they reject with its reason
   */
  async close(signal?: AbortSignal): Promise<void> {
    const open = this.#threads
    const closing = [...this.#retired].map((pool) => pool.close(signal))
    await Promise.all([...closing, open?.close(signal)])
    if (this.#threads === open) this.#threads = undefined
  }

  #apply(declared: OffloadOptions, overrides: OffloadOptions): void {
    const next = poolOptions({ ...declared, ...overrides })
    if (isDeepStrictEqual(next, this.#options)) return
    this.#options = next
    if (this.#threads === undefined) return
    const old = this.#threads
    this.#threads = undefined
    this.#retired.add(old)
    void old.close().finally(() => this.#retired.delete(old))
  }
}
