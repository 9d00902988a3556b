import type { ResourceLimits, Transferable } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { threadLoader, threadModule } from '../../thread-module.ts'
import type { OffloadReply, OffloadTask } from '../protocol.ts'

export interface ThreadOptions {
  readonly idleTimeoutMs: number
  readonly resourceLimits: ResourceLimits | undefined
}

export interface ThreadEvents {
  readonly message: (thread: Thread, message: unknown) => void
  /** The thread has ended without a call, after its idle time or by an error. */
  readonly gone: (thread: Thread, error: unknown) => void
}

let piscina: typeof Piscina | undefined

/** Imported at the first call because it costs about 20 ms, and most processes never offload anything. */
export async function loadThreads(): Promise<void> {
  piscina = (await import('piscina')).Piscina
}

export function threadsAreLoaded(): boolean {
  return piscina !== undefined
}

/**
 * One thread: a piscina of one. Piscina starts it with the first call, ends it when it is idle, and tells its errors. Which call runs in
 * which thread is the pool's decision: so an error always belongs to the call of its own thread.
 */
export class Thread {
  /** Calls that have ended. */
  calls = 0
  /** The call that ran before, for messages. */
  previous: string | undefined
  /** Shared with the thread: 1 once it works for the call. */
  readonly #begun = new Int32Array(new SharedArrayBuffer(4))
  readonly #piscina: Piscina
  #isReady = false
  #isEnding = false
  #ready: (() => void) | undefined
  #fail: ((error: unknown) => void) | undefined
  #lastError: unknown

  constructor({ idleTimeoutMs, resourceLimits }: ThreadOptions, events: ThreadEvents) {
    if (piscina === undefined) throw new Error('loadThreads comes first')
    this.#piscina = new piscina({
      filename: threadModule('../thread/worker', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleTimeoutMs,
      // A thread that blocks between calls would stop a module's background work: sockets, timers.
      atomics: 'disabled',
      recordTiming: false,
      workerData: this.#begun,
      ...(resourceLimits !== undefined && { resourceLimits }),
      // Set only if a loader is needed. Otherwise the thread inherits the process's options (`--conditions`, `--import`), including those
      // that Node refuses in `execArgv`.
      ...(threadLoader.length > 0 && { execArgv: [...process.execArgv, ...threadLoader] }),
    })
    this.#piscina.on('message', (message: unknown) => events.message(this, message))
    this.#piscina.on('workerCreate', () => this.#started())
    this.#piscina.on('error', (error) => {
      this.#lastError = error
      this.#fail?.(error)
    })
    this.#piscina.on('workerDestroy', () => setImmediate(() => this.#ended(events)))
  }

  /**
   * Whether it works for its call. Otherwise it is busy with what the call before has left behind, or has died of it; or it is new.
   */
  get hasBegun(): boolean {
    return Atomics.load(this.#begun, 0) === 1
  }

  /** Whether it is started, or will be. */
  get isAlive(): boolean {
    return this.#piscina.threads.length > 0
  }

  /**
   * Makes one call.
   *
   * @param onReady called when the thread begins with it
   * @throws whatever ended the thread, or the error of copying the arguments
   */
  run(task: OffloadTask, transfer: readonly Transferable[], onReady: () => void): Promise<OffloadReply> {
    Atomics.store(this.#begun, 0, 0)
    if (this.#isReady) onReady()
    else this.#ready = onReady
    return new Promise((resolve, reject) => {
      this.#fail = reject
      const options = transfer.length > 0 ? { transferList: [...transfer] } : {}
      this.#piscina.run(task, options).then(resolve, reject)
    }).finally(() => {
      this.calls++
      this.#fail = undefined
      this.#ready = undefined
    }) as Promise<OffloadReply>
  }

  /** The bytes of the thread's heap and of its buffers; works while the thread computes. */
  async usedBytes(): Promise<number> {
    const worker = this.#piscina.threads[0]
    if (worker === undefined || !this.#isReady) return 0
    // It may end meanwhile.
    const heap = await worker.getHeapStatistics().catch(() => undefined)
    return heap === undefined ? 0 : heap.used_heap_size + heap.external_memory
  }

  /** Ends the thread immediately. Its call fails. */
  async end(): Promise<void> {
    this.#isEnding = true
    await this.#piscina.destroy()
  }

  #started(): void {
    this.#isReady = true
    this.#ready?.()
    this.#ready = undefined
  }

  #ended(events: ThreadEvents): void {
    if (this.isAlive) return
    this.#isReady = false
    // A thread that dies before it is ready fails no call of piscina.
    if (this.#fail) this.#fail(this.#lastError ?? new Error('it did not start'))
    else events.gone(this, this.#isEnding ? undefined : this.#lastError)
  }
}
