import type { Clock } from '../../clock.ts'

const RESOLUTION_MS = 50

/**
 * The deadlines of any number of runs, on one timer and the monotonic clock. The function of each is called less than 100 ms after its
 * deadline, unless the event loop is blocked.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #buckets = new Map<number, Set<() => void>>()
  readonly #onSoonest: (ms: number | undefined) => void
  #soonest = Infinity
  #timer: NodeJS.Timeout | undefined

  /** @param onSoonest called whenever the next deadline changes, with the milliseconds until then; undefined if there is none */
  constructor(clock: Clock, onSoonest: (ms: number | undefined) => void = () => {}) {
    this.#clock = clock
    this.#onSoonest = onSoonest
  }

  /** Calls `expire` once after `ms`. Returns a function that removes the deadline. */
  add(ms: number, expire: () => void): () => void {
    const key = Math.ceil((this.#clock.monotonic() + ms) / RESOLUTION_MS)
    const bucket = this.#buckets.get(key) ?? new Set()
    this.#buckets.set(key, bucket)
    bucket.add(expire)
    if (key < this.#soonest) this.#tellSoonest(key)
    this.#timer ??= setInterval(() => this.#sweep(), RESOLUTION_MS).unref()
    return () => {
      bucket.delete(expire)
      // The bucket may have expired, and another bucket may now have its key.
      if (bucket.size === 0 && this.#buckets.get(key) === bucket) this.#buckets.delete(key)
      this.#rest()
      if (key === this.#soonest && bucket.size === 0) this.#findSoonest()
    }
  }

  #sweep(): void {
    const now = this.#clock.monotonic() / RESOLUTION_MS
    for (const [key, bucket] of this.#buckets) {
      if (key > now) continue
      this.#buckets.delete(key)
      for (const expire of bucket) expire()
    }
    this.#rest()
    this.#findSoonest()
  }

  #findSoonest(): void {
    let soonest = Infinity
    for (const key of this.#buckets.keys()) soonest = Math.min(soonest, key)
    if (soonest !== this.#soonest) this.#tellSoonest(soonest)
  }

  #tellSoonest(key: number): void {
    this.#soonest = key
    this.#onSoonest(key === Infinity ? undefined : Math.max(0, key * RESOLUTION_MS - this.#clock.monotonic()))
  }

  #rest(): void {
    if (this.#buckets.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
