import { availableParallelism } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import type { ResourceLimits, Transferable } from 'node:worker_threads'
import { describe, PikoError } from '../errors.ts'
import { anything, aTable, type OptionChecks, problemsText, readOptions, unknownOptions } from '../options.ts'
import { type OffloadStats, ThreadPool, type ThreadPoolOptions } from './thread-pool.ts'
import type { OffloadReply, OffloadTask } from './worker.ts'

export interface OffloadOptions {
  /** Calls that run at the same time, each in its own thread. Default: the available processors minus one, at least 1. */
  readonly threads?: number
  /** A thread ends after this long without a call; the next call starts one (tens of ms). Default 60,000. */
  readonly idleTimeoutMs?: number
  /** Memory limits of each thread; a thread that exceeds them ends and its call fails. Default: Node's. */
  readonly resourceLimits?: ResourceLimits
}

/**
 * Threads that start with the first call, and may start again after a close.
 *
 * *Closed* until the first call, then *open*, then *closing* until the running calls have ended, then *closed* again. While closing, the
 * pool refuses calls.
 */
export class OffloadPool {
  #options: ThreadPoolOptions
  #threads: ThreadPool | undefined
  /** Pools of an earlier configuration whose calls still run. */
  readonly #retired = new Set<ThreadPool>()

  /** @throws PikoError `SETTINGS_INVALID` */
  constructor(options: OffloadOptions = {}) {
    this.#options = withDefaults(options)
  }

  /**
   * Replaces all options; a missing one gets its default. Later calls use the new options and earlier calls keep their threads. For a
   * moment there may be more threads than either configuration allows.
   *
   * @throws PikoError `SETTINGS_INVALID`
   */
  configure(options: OffloadOptions): void {
    const next = withDefaults(options)
    if (isDeepStrictEqual(next, this.#options)) return
    this.#options = next
    if (this.#threads === undefined) return
    const old = this.#threads
    this.#threads = undefined
    this.#retired.add(old)
    void old.close().finally(() => this.#retired.delete(old))
  }

  get stats(): OffloadStats {
    const pools = [...this.#retired, ...(this.#threads === undefined ? [] : [this.#threads])]
    const sum = (count: (stats: OffloadStats) => number): number =>
      pools.reduce((total, pool) => total + count(pool.stats), 0)
    return {
      threads: this.#options.threads,
      running: sum((stats) => stats.running),
      waiting: sum((stats) => stats.waiting),
    }
  }

  /** @internal See {@link ThreadPool.run}. */
  run(task: OffloadTask, transfer: readonly Transferable[], signal?: AbortSignal): Promise<OffloadReply> {
    this.#threads ??= new ThreadPool(this.#options)
    return this.#threads.run(task, transfer, signal)
  }

  /**
   * Waits for the running calls, then ends the threads; a later call opens the pool again. May be called again while it waits, with a
   * signal that aborts earlier.
   *
   * @param signal its abort immediately ends the running calls, which reject with its reason
   */
  async close(signal?: AbortSignal): Promise<void> {
    const open = this.#threads
    const closing = [...this.#retired].map((pool) => pool.close(signal))
    await Promise.all([...closing, open?.close(signal)])
    if (this.#threads === open) this.#threads = undefined
  }
}

// Measured on Node 24: a heap of 2 MB aborts the whole process when a thread starts; 4 MB does not.
const SMALLEST_HEAP_MB = 8

const OPTIONS = {
  threads: anything,
  idleTimeoutMs: anything,
  resourceLimits: aTable,
} satisfies OptionChecks<OffloadOptions>
const MEMORY = ['maxOldGenerationSizeMb', 'maxYoungGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb']

function withDefaults(given: OffloadOptions): ThreadPoolOptions {
  const { options, problems } = readOptions<OffloadOptions>(given, OPTIONS, '{ threads: 4 }')
  const unknown = options.resourceLimits ? unknownOptions(options.resourceLimits, MEMORY, 'resourceLimits.') : []
  const all = [...problems, ...unknown]
  if (all.length > 0)
    throw new PikoError('SETTINGS_INVALID', problemsText('offload', all), { details: { problems: all } })
  const { threads = Math.max(1, availableParallelism() - 1), idleTimeoutMs = 60_000, resourceLimits } = options
  if (!Number.isInteger(threads) || threads < 1) throw invalid('threads', threads, 'a whole number from 1')
  if (!(idleTimeoutMs >= 0)) throw invalid('idleTimeoutMs', idleTimeoutMs, 'milliseconds from 0')
  const { maxOldGenerationSizeMb = SMALLEST_HEAP_MB } = resourceLimits ?? {}
  if (!(maxOldGenerationSizeMb >= SMALLEST_HEAP_MB)) {
    throw invalid('resourceLimits.maxOldGenerationSizeMb', maxOldGenerationSizeMb, `a number from ${SMALLEST_HEAP_MB}`)
  }
  return { threads, idleTimeoutMs, resourceLimits }
}

function invalid(option: string, value: unknown, expected: string): PikoError {
  return new PikoError('SETTINGS_INVALID', `offload option ${option} is ${describe(value)}; expected ${expected}`, {
    details: { option, value },
  })
}
