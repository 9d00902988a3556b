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
  /** Called when the thread has ended without a call: after its idle time, or because of an error. */
  readonly gone: (thread: Thread, error: unknown) => void
}

let piscina: typeof Piscina | undefined

/** Loads piscina on the first call: this takes about 20 ms, and most processes never offload anything. */
export async function loadThreads(): Promise<void> {
  piscina = (await import('piscina')).Piscina
}

export function threadsAreLoaded(): boolean {
  return piscina !== undefined
}

/**
 * One thread, in the form of a piscina pool of size one. Piscina starts the thread with the first call, ends it when idle, and reports its
 * errors. `ThreadPool` decides which thread executes a call, so an error of a thread always belongs to that thread's call.
 */
export class Thread {
  /** How many calls have ended in this thread. */
  calls = 0
  /** The title of the last call, for messages; undefined until the first call has ended. */
  previous: string | undefined
  /** A mark that is shared with the thread. The thread sets it to 1 when it begins the call. */
  readonly #begun = new Int32Array(new SharedArrayBuffer(4))
  readonly #piscina: Piscina
  #isReady = false
  #isEnding = false
  #ready: (() => void) | undefined
  #fail: ((error: unknown) => void) | undefined
  #lastError: unknown

  constructor({ idleTimeoutMs, resourceLimits }: ThreadOptions, events: ThreadEvents) {
    if (piscina === undefined) throw new Error('call loadThreads first')
    this.#piscina = new piscina({
      filename: threadModule('../thread/worker', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleTimeoutMs,
      // With atomics, a thread would be blocked between calls. This would stop background work of a module, such as sockets and timers.
      atomics: 'disabled',
      recordTiming: false,
      workerData: this.#begun,
      ...(resourceLimits !== undefined && { resourceLimits }),
      // Set only if a loader is needed. Otherwise the thread inherits the process's options (`--conditions`, `--import`), even those that
      // Node refuses in `execArgv`.
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
   * Whether the thread has begun its call. If not, it is still starting, or leftover work of the previous call is blocking it or has ended
   * it.
   */
  get hasBegun(): boolean {
    return Atomics.load(this.#begun, 0) === 1
  }

  /** Whether the thread exists or is starting. */
  get isAlive(): boolean {
    return this.#piscina.threads.length > 0
  }

  /**
   * Executes one call.
   *
   * @param onReady called when the thread is ready for the call
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

  /** Returns the size of the thread's heap and buffers in bytes, even while the thread is busy; 0 without a thread. */
  async usedBytes(): Promise<number> {
    const worker = this.#piscina.threads[0]
    if (worker === undefined || !this.#isReady) return 0
    // The thread may end during this call, which then rejects.
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
    // If a thread dies before it is ready, piscina does not reject its call.
    if (this.#fail) this.#fail(this.#lastError ?? new Error('it exited before it was ready'))
    else events.gone(this, this.#isEnding ? undefined : this.#lastError)
  }
}
