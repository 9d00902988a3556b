import { type Clock } from './clock.ts'

const RESOLUTION_MS = 50

/** Deadlines of any number of runs on one timer, on the clock that never jumps; each fires within 50 ms after its time. */
export class Deadlines {
  readonly #clock: Clock
  readonly #buckets = new Map<number, Set<() => void>>()
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expire` once when `ms` have passed. Returns the function that takes the deadline back. */
  add(ms: number, expire: () => void): () => void {
    const key = Math.ceil((this.#clock.monotonic() + ms) / RESOLUTION_MS)
    const bucket = this.#buckets.get(key) ?? new Set()
    this.#buckets.set(key, bucket)
    bucket.add(expire)
    this.#timer ??= setInterval(() => this.#sweep(), RESOLUTION_MS).unref()
    return () => {
      bucket.delete(expire)
      // The bucket's time may be over, and another one have taken its place.
      if (bucket.size === 0 && this.#buckets.get(key) === bucket) this.#buckets.delete(key)
      this.#rest()
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
  }

  #rest(): void {
    if (this.#buckets.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
