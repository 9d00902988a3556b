import type { RateLimit } from '../run/limits.ts'

/**
 * To keep the log short, the span is divided into this number of grains. All takes within one grain share one entry, with the time of the
 * grain's end.
 */
const GRAINS = 1_000
/** A take is counted for the span plus this fraction of the span, because its caller begins slightly after the take. */
const SLACK = 0.01
const MAX_SLACK_MS = 20

interface Entry {
  readonly at: number
  count: number
}

/**
 * Decides when a rate allows a take. Pure: the caller passes the time, which must never go back.
 *
 * Two rules apply. First, any span of the rate's length has at most as many takes as the larger of limit and burst. Second, each take
 * removes one unit from a bucket, which holds at most `burst` units, refills at the rate and never has less than zero.
 */
export class Allowance {
  readonly #rate: RateLimit
  readonly #burst: number
  readonly #grainMs: number
  readonly #slackMs: number
  /** The takes of the last span, oldest first. */
  readonly #log: Entry[] = []
  #inSpan = 0
  /** When the bucket is full again. */
  #fullAt = -Infinity

  constructor(rate: RateLimit, burst: number) {
    this.#rate = rate
    this.#burst = burst
    this.#grainMs = rate.perMs / GRAINS
    this.#slackMs = Math.min(rate.perMs * SLACK, MAX_SLACK_MS)
  }

  /** Returns when `count` takes are allowed, if no other takes come first. */
  readyAt(count: number, now: number): number {
    this.#forget(now)
    return Math.max(this.#spanReadyAt(count, now), this.#bucketReadyAt(count))
  }

  take(count: number, now: number): void {
    this.#fullAt = Math.max(this.#fullAt, now) + (count * this.#rate.perMs) / this.#rate.limit
    const at = Math.ceil((now + this.#slackMs) / this.#grainMs) * this.#grainMs
    const last = this.#log.at(-1)
    if (last?.at === at) last.count += count
    else this.#log.push({ at, count })
    this.#inSpan += count
  }

  #spanReadyAt(count: number, now: number): number {
    let excess = this.#inSpan + count - Math.max(this.#rate.limit, this.#burst)
    if (excess <= 0) return now
    const last = this.#log.find((entry) => (excess -= entry.count) <= 0)
    return last ? last.at + this.#rate.perMs : now
  }

  #bucketReadyAt(count: number): number {
    return this.#fullAt - ((this.#burst - count) * this.#rate.perMs) / this.#rate.limit
  }

  #forget(now: number): void {
    for (let oldest = this.#log[0]; oldest && oldest.at + this.#rate.perMs <= now; oldest = this.#log[0]) {
      this.#inSpan -= oldest.count
      this.#log.shift()
    }
  }
}
