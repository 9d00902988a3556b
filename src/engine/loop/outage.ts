import { type Events } from '../../events.ts'
import { type Clock } from '../../clock.ts'

/** A loop that failed and is not heard of for so long beyond its retry was stopped or replaced. */
const FORGOTTEN_AFTER_MS = 30_000

/**
 * Whether the store is away, from what all loops of a node meet. The first failure begins an outage; it is over when every loop that
 * failed has worked again, so a server that still reads and does not write is not taken for well.
 */
export class Outage {
  readonly #events: Events
  readonly #clock: Clock
  /** The loops that do not work yet, and until when each is heard of. */
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

  /** Why the store is not ready; undefined while it is not known to be away. */
  get message(): string | undefined {
    if (this.#since === undefined) return undefined
    const seconds = Math.round((this.#clock.monotonic() - this.#since) / 1_000)
    return `away for ${seconds} s: ${this.#error?.message ?? ''}`
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
