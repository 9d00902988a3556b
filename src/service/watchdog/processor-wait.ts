import { closeSync, openSync, readSync } from 'node:fs'

const SIZE = 128

/**
 * Reads how long this thread was ready to run but had no processor. Linux counts this for each thread. If all processors of a machine are
 * busy, a thread that seems blocked has mostly waited for one.
 */
export class ProcessorWait {
  readonly #buffer = Buffer.alloc(SIZE)
  #file: number | undefined

  constructor() {
    try {
      this.#file = openSync('/proc/thread-self/schedstat', 'r')
    } catch {
      this.#file = undefined
    }
  }

  /** Returns the wait in nanoseconds since the thread began. Undefined if the system does not report it. Takes about 10 µs. */
  read(): bigint | undefined {
    if (this.#file === undefined) return undefined
    try {
      const length = readSync(this.#file, this.#buffer, 0, SIZE, 0)
      // The file contains the time on a processor, the time without one, and the number of turns.
      const [, waited] = this.#buffer.toString('latin1', 0, length).trim().split(' ')
      return waited === undefined ? undefined : BigInt(waited)
    } catch {
      this.close()
      return undefined
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}
