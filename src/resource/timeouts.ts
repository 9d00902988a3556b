import { type Clock, TIME_LIMIT } from '../clock.ts'
import { Fifo } from './fifo.ts'

interface Entry {
  readonly atMs: number
  readonly expire: () => void
}

/**
 * Calls functions after a time that is the same for all. So the entries expire in the order in which they were added, and one timer is
 * enough.
 */
export class Timeouts {
  readonly #ms: number
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #entries = new Fifo<Entry>()
  #isSleeping = false

  /** @param signal ends the timer and drops all entries */
  constructor(ms: number, clock: Clock, signal: AbortSignal) {
    this.#ms = ms
    this.#clock = clock
    this.#signal = signal
  }

  /** Calls `expire` after the time. Returns a function that prevents the call. */
  add(expire: () => void): () => void {
    let isOver = false
    const remove = (): void => {
      if (!isOver) this.#entries.remove(place)
      isOver = true
    }
    const place = this.#entries.push({
      atMs: this.#clock.monotonic() + this.#ms,
      expire: () => {
        remove()
        expire()
      },
    })
    if (!this.#isSleeping) void this.#watch()
    return remove
  }

  /** Sleeps until the first entry is due. Ends when there are no entries. */
  async #watch(): Promise<void> {
    this.#isSleeping = true
    for (let first = this.#entries.first; first && !this.#signal.aborted; first = this.#entries.first) {
      await this.#clock.sleep(Math.max(0, first.atMs - this.#clock.monotonic()), this.#signal, TIME_LIMIT)
      const now = this.#clock.monotonic()
      while (this.#entries.first && this.#entries.first.atMs <= now) this.#entries.first.expire()
    }
    this.#isSleeping = false
  }
}
