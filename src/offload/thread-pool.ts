import type { ResourceLimits, Transferable } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { headline } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { OffloadCall } from './offload-call.ts'
import { threadError } from './thread-error.ts'
import type { OffloadReply, OffloadTask } from './worker.ts'
import { threadLoader, threadModule } from '../thread-module.ts'

export interface ThreadPoolOptions {
  readonly threads: number
  readonly idleTimeoutMs: number
  readonly resourceLimits: ResourceLimits | undefined
}

/** How many threads may run, how many calls run, and how many calls wait. */
export interface OffloadStats {
  readonly threads: number
  readonly running: number
  readonly waiting: number
}

/** The number of calls that piscina may hold besides the running ones, ready when one ends. With more it would break their order. */
const MAX_BEHIND = 2

/** A call of no module, which its thread answers immediately. */
const NO_CALL: OffloadTask = { module: '', name: '', args: [] }

/**
 * Threads with a queue.
 *
 * A call *waits* (in the order of arrival), *runs* (at most one per thread) and is *settled*. A waiting call costs only an entry in a set:
 * its arguments are copied, or its buffers handed over, when a thread takes it. Threads start on demand and end after an idle time. After
 * `close`, the pool accepts no further call.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions
  readonly #waiting = new Set<OffloadCall>()
  /** Calls handed to piscina, in order: the first ones run, the others are next. */
  readonly #held = new Set<OffloadCall>()
  #piscina: Promise<Piscina> | undefined
  #closing = false
  #lastError: unknown
  /** A held call failed or was ended, which may have ended its thread. */
  #mayHaveTakenThread = false

  constructor(options: ThreadPoolOptions) {
    this.#options = options
  }

  get stats(): OffloadStats {
    const { threads } = this.#options
    const running = Math.min(threads, this.#held.size)
    return { threads, running, waiting: this.#waiting.size + this.#held.size - running }
  }

  /**
   * @throws PikoError `STOPPED` once the pool closes, `OFFLOAD_FAILED` if the thread dies, or the signal's reason on its abort: a waiting
   * call leaves the queue, and the thread of a running one is ended
   */
  run(task: OffloadTask, transfer: readonly Transferable[], signal?: AbortSignal): Promise<OffloadReply> {
    const call = new OffloadCall(task, transfer)
    if (this.#closing)
      call.end(new PikoError('STOPPED', `${task.name}() was called while the offload threads are closing`))
    else if (signal?.aborted) call.end(signal.reason)
    else {
      if (signal) this.#endWith(signal, call)
      this.#waiting.add(call)
      this.#dispatch()
    }
    return call.settled
  }

  #endWith(signal: AbortSignal, call: OffloadCall): void {
    const onAbort = (): void => this.#end(call, signal.reason)
    const forget = (): void => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort, { once: true })
    call.settled.then(forget, forget)
  }

  /**
   * Waits for the running calls, then ends the threads.
   *
   * @param signal its abort immediately ends the running calls, which reject with its reason
   */
  async close(signal?: AbortSignal): Promise<void> {
    this.#closing = true
    const calls = [...this.#waiting, ...this.#held]
    const endAll = (): void => calls.forEach((call) => this.#end(call, signal?.reason))
    if (signal?.aborted) endAll()
    signal?.addEventListener('abort', endAll, { once: true })
    await Promise.allSettled(calls.map((call) => call.settled))
    signal?.removeEventListener('abort', endAll)
    await (await this.#piscina)?.destroy()
  }

  #dispatch(): void {
    const { threads } = this.#options
    for (const call of this.#waiting) {
      if (this.#held.size >= threads + Math.min(threads, MAX_BEHIND)) return
      this.#waiting.delete(call)
      this.#held.add(call)
      void this.#execute(call)
    }
  }

  async #execute(call: OffloadCall): Promise<void> {
    try {
      const piscina = await (this.#piscina ??= this.#open())
      const { task, transfer, signal } = call
      const reply: unknown = await piscina.run(
        task,
        transfer.length > 0 ? { transferList: [...transfer], signal } : { signal },
      )
      call.complete(reply as OffloadReply)
    } catch (error) {
      this.#mayHaveTakenThread = true
      // After an abort the caller already has the reason.
      call.end(threadError(call.task, error))
    } finally {
      this.#held.delete(call)
      this.#dispatch()
    }
  }

  #end(call: OffloadCall, reason: unknown): void {
    this.#waiting.delete(call)
    call.end(reason)
  }

  async #open(): Promise<Piscina> {
    // Imported here because it costs about 20 ms, and most processes never offload anything.
    const { Piscina } = await import('piscina')
    const { threads, idleTimeoutMs, resourceLimits } = this.#options
    const piscina = new Piscina({
      filename: threadModule('worker', import.meta.url).href,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: idleTimeoutMs,
      // A thread that blocks between calls would stop a module's background work: sockets, timers.
      atomics: 'disabled',
      recordTiming: false,
      ...(resourceLimits !== undefined && { resourceLimits }),
      // Set only if a loader is needed. Otherwise the thread inherits the process's options (`--conditions`, `--import`), including those
      // that Node refuses in `execArgv`.
      ...(threadLoader.length > 0 && { execArgv: [...process.execArgv, ...threadLoader] }),
    })
    piscina.on('error', (error) => this.#threadFailed(error))
    piscina.on('workerDestroy', () => setImmediate(() => this.#threadEnded(piscina)))
    return piscina
  }

  /** Called if a thread failed between two calls or during its start. */
  #threadFailed(error: unknown): void {
    this.#lastError = error
    if (this.#held.size > 0) return
    process.emitWarning(`an idle offload thread ended: ${headline(error)}`, 'PikoOffloadWarning')
  }

  /**
   * Piscina replaces an ended thread only when it gets another call, and calls that it holds may wait for that thread. A thread that dies
   * before it is ready ends no call, and the next thread would die too. So those calls fail, and the next call tries a new thread.
   */
  #threadEnded(piscina: Piscina): void {
    const mayGoOn = this.#mayHaveTakenThread
    this.#mayHaveTakenThread = false
    const missing = Math.min(piscina.queueSize, this.#options.threads - piscina.threads.length)
    if (mayGoOn && missing > 0)
      for (let thread = 0; thread < missing; thread++) void piscina.run(NO_CALL).catch(() => {})
    else if (piscina.threads.length === 0)
      for (const call of this.#held) this.#end(call, threadError(call.task, this.#lastError ?? 'it did not start'))
  }
}
