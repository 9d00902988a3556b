import { type Events } from '../../events.ts'
import { type Clock } from '../../clock.ts'

/** A failed loop that reports nothing for this long after its retry was due has been stopped or replaced. */
const FORGOTTEN_AFTER_MS = 30_000

/**
 * Tracks whether the store is unavailable, as seen by all loops of a node. The first failure begins an outage. It ends when every failed
 * loop has worked again, so a server that reads but does not write still counts as unavailable.
 */
export class Outage {
  readonly #events: Events
  readonly #clock: Clock
  /** The failed loops that have not worked again, and the time until which each is expected to report. */
  readonly #failing = new Map<string, number>()
  #since: number | undefined
  #error: Error | undefined
  #failures = 0

  constructor(events: Events, clock: Clock) {
    this.#events = events
    this.#clock = clock
    events.on('loop.failed', ({ loop, error, retryInMs, fault }) => {
      if (fault === 'outage') this.#failed(loop, error, retryInMs)
    })
    events.on('loop.recovered', ({ loop }) => this.#worked(loop))
  }

  /** Why the store is not ready. Undefined if there is no known outage. */
  get message(): string | undefined {
    if (this.#since === undefined) return undefined
    const seconds = Math.round((this.#clock.monotonic() - this.#since) / 1_000)
    return `unavailable for ${seconds} s: ${this.#error?.message ?? ''}`
  }

  #failed(loop: string, error: Error, retryInMs: number): void {
    const now = this.#clock.monotonic()
    this.#failing.set(loop, now + retryInMs + FORGOTTEN_AFTER_MS)
    this.#failures += 1
    this.#error = error
    if (this.#since !== undefined) return
    this.#since = now
    this.#events.emit('store.outage', { error })
  }

  #worked(loop: string): void {
    const since = this.#since
    if (since === undefined || !this.#failing.delete(loop)) return
    const now = this.#clock.monotonic()
    for (const [other, until] of this.#failing) if (until < now) this.#failing.delete(other)
    if (this.#failing.size > 0) return
    const failures = this.#failures
    this.#since = undefined
    this.#failures = 0
    this.#events.emit('store.recovered', { outageMs: now - since, failures })
  }
}
