import type { Clock } from '../clock.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** A clock that stands still until a test advances it. */
export class ManualClock implements Clock {
  #now: number
  readonly #sleepers = new Set<Sleeper>()

  /** @param start the first instant; default 2026-01-01T00:00:00Z */
  constructor(start: InstantInput = '2026-01-01T00:00:00Z') {
    this.#now = instantOf('start of a ManualClock', start).getTime()
  }

  now(): number {
    return this.#now
  }

  /** Returns the same as `now()`, because this clock never jumps. */
  monotonic(): number {
    return this.#now
  }

  /** The number of sleeps that have not ended. */
  get sleeping(): number {
    return this.#sleepers.size
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) {
        resolve()
        return
      }
      const sleeper: Sleeper = {
        until: this.#now + ms,
        wake: () => {
          this.#sleepers.delete(sleeper)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', sleeper.wake, { once: true })
    })
  }

  /** Advances the clock by `ms` milliseconds. Ends all sleeps that are due then, the earliest first. */
  advance(ms: number): void {
    this.#now += ms
    const due = [...this.#sleepers].filter((sleeper) => sleeper.until <= this.#now)
    for (const sleeper of due.sort((a, b) => a.until - b.until)) sleeper.wake()
  }
}
