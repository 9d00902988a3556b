import { callError, callTitle, megabytes } from './thread-error.ts'
import type { PikoError } from '../../errors.ts'
import type { Work } from './work.ts'

/** How often the memory of threads is checked, in milliseconds. */
const LOOK_EVERY_MS = 100
/**
 * How much memory a thread may use beyond its limit for garbage that is not collected yet: this share of the limit, plus
 * `MAX_GARBAGE_BYTES` for buffers.
 */
const MAX_GARBAGE = 0.5
const MAX_GARBAGE_BYTES = 64 * 2 ** 20

/**
 * Checks the memory of busy threads. V8's own limit does not count buffers, and exceeding it would end the whole process (see
 * `HEADROOM_MB`).
 */
export class MemoryWatch {
  readonly #memoryBytes: number | undefined
  readonly #working: () => readonly Work[]
  readonly #onExcess: (work: Work, error: PikoError) => void
  #timer: NodeJS.Timeout | undefined

  constructor(
    memoryBytes: number | undefined,
    working: () => readonly Work[],
    onExcess: (work: Work, error: PikoError) => void,
  ) {
    this.#memoryBytes = memoryBytes
    this.#working = working
    this.#onExcess = onExcess
  }

  /** Checks the threads as long as one of them is busy. */
  start(): void {
    const limit = this.#memoryBytes
    if (limit !== undefined) this.#timer ??= setInterval(() => void this.#look(limit), LOOK_EVERY_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #look(limit: number): Promise<void> {
    const all = this.#working()
    if (all.length === 0) this.stop()
    for (const work of all) {
      const used = await work.thread.usedBytes()
      if (used <= limit * (1 + MAX_GARBAGE) + MAX_GARBAGE_BYTES || !this.#working().includes(work)) continue
      const { wanted } = work.call
      const message = `the thread that ran ${callTitle(wanted)} ended: it used ${megabytes(used)} of memory`
      const hint = `its pool allows ${megabytes(limit)}; raise the pool's memory or offload smaller pieces`
      this.#onExcess(work, callError('OFFLOAD_MEMORY', wanted, `${message}; ${hint}`))
    }
  }
}
