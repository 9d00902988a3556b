import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const SIZE = 128

/** What Linux counts for each thread, in nanoseconds since the thread began. */
export interface ProcessorTimes {
  /** The time on a processor. */
  readonly ran: bigint
  /** The time in which the thread was ready to run but had no processor. */
  readonly waited: bigint
}

/** Reads the times of the thread that creates it. If all processors of a machine are busy, a thread that seems blocked has mostly waited for one. */
export class ProcessorTime {
  readonly #buffer = Buffer.alloc(SIZE)
  #file: number | undefined

  constructor() {
    try {
      this.#file = openSync('/proc/thread-self/schedstat', 'r')
    } catch {
      this.#file = undefined
    }
  }

  /** Undefined if the system does not report the times. Takes about 10 µs. */
  read(): ProcessorTimes | undefined {
    if (this.#file === undefined) return undefined
    try {
      const length = readSync(this.#file, this.#buffer, 0, SIZE, 0)
      return times(this.#buffer.toString('latin1', 0, length))
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

/**
 * Whether the main thread waits for a processor now and has run for less than `ms` since its counter was `ranBefore`. Any thread may ask.
 * False if the system does not report it.
 */
export function isMainThreadStarved(ranBefore: bigint, ms: number): boolean {
  try {
    // Both files are those of the main thread, whichever thread reads them.
    const ran = times(readFileSync('/proc/self/schedstat', 'latin1'))?.ran
    if (ran === undefined || Number(ran - ranBefore) / 1e6 >= ms) return false
    // The name of the process comes first, in parentheses, and may contain some itself. A thread in a call of the system does not have state R.
    return /.*\) R /s.test(readFileSync('/proc/self/stat', 'latin1'))
  } catch {
    return false
  }
}

/** The file contains the time on a processor, the time without one, and the number of turns. */
function times(text: string): ProcessorTimes | undefined {
  const [ran, waited] = text.trim().split(' ')
  return ran === undefined || waited === undefined ? undefined : { ran: BigInt(ran), waited: BigInt(waited) }
}
