import { closeSync, openSync, readSync } from 'node:fs'

const SIZE = 128

/**
 * How long this thread has been ready to run, but had no processor. Linux counts this for each thread. A blocked thread on a machine whose
 * processors are all busy has mostly waited for one.
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

  /** The wait in nanoseconds since the thread began. Undefined on a system that does not report it. Takes about 10 µs. */
  read(): bigint | undefined {
    if (this.#file === undefined) return undefined
    try {
      const length = readSync(this.#file, this.#buffer, 0, SIZE, 0)
      // The time on a processor, the time without one, and the number of turns.
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
