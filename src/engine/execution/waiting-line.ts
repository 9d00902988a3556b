import type { Clock } from '../../clock.ts'
import { Deadlines } from './deadlines.ts'

/**
 * If handlers take at most this long on average, runs are claimed before a slot is free. Otherwise slots would often be idle while the
 * database answers.
 */
const SHORT_MS = 100
/** A claim that waits longer than this for a slot returns to the queue, because another node may have a free slot. */
const PATIENCE_MS = 500
/** The weight of the newest duration in the average. */
const NEWEST = 0.05

interface Entry<T> {
  readonly item: T
  /** Milliseconds on the monotonic clock. */
  readonly since: number
}

/** Claims that are waiting for a slot, in order. Also decides whether claims should wait at all. */
export class WaitingLine<T> {
  readonly #clock: Clock
  /** Separate from the deadlines of runs: if a blocked event loop misses a run's deadline, the node gives up its lease. */
  readonly #deadlines: Deadlines
  readonly #giveBack: (item: T) => void
  readonly #entries: Entry<T>[] = []
  /** The average duration of handlers. Undefined until the first one has ended; `Infinity` after claims have returned to the queue. */
  #averageMs: number | undefined
  #isTimed = false

  /** @param giveBack receives claims that have waited too long or must no longer wait */
  constructor(clock: Clock, giveBack: (item: T) => void) {
    this.#clock = clock
    this.#deadlines = new Deadlines(clock)
    this.#giveBack = giveBack
  }

  get size(): number {
    return this.#entries.length
  }

  get isWorthWhile(): boolean {
    return this.#averageMs !== undefined && this.#averageMs <= SHORT_MS
  }

  /**
   * Estimates how many claims these slots finish in 100 ms; at least one per slot. `Infinity` until the first handler has ended. If the
   * estimate is too high, the waiting claims return to the queue after half a second.
   */
  soonOver(slots: number): number {
    return this.#averageMs === undefined ? Infinity : Math.floor(slots * Math.max(1, SHORT_MS / this.#averageMs))
  }

  /** Records how long a handler took. */
  took(ms: number): void {
    const average = this.#averageMs ?? Infinity
    this.#averageMs = average === Infinity ? ms : average + NEWEST * (ms - average)
  }

  push(item: T): void {
    this.#entries.push({ item, since: this.#clock.monotonic() })
    if (!this.#isTimed) this.#time(PATIENCE_MS)
  }

  shift(): T | undefined {
    return this.#entries.shift()?.item
  }

  giveBackAll(): void {
    this.#averageMs = Infinity
    for (const { item } of this.#entries.splice(0)) this.#giveBack(item)
  }

  #time(ms: number): void {
    this.#isTimed = true
    this.#deadlines.add(ms, () => {
      this.#isTimed = false
      const [first] = this.#entries
      if (!first) return
      const leftMs = first.since + PATIENCE_MS - this.#clock.monotonic()
      if (leftMs > 0) this.#time(leftMs)
      // Also returns the later claims to the queue, because they would have to wait just as long as the first one.
      else this.giveBackAll()
    })
  }
}
