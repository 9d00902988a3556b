import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../src/clock.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

/** A manual clock whose wall time can differ from its monotonic time. */
export class ManualServiceClock implements Clock {
  readonly #monotonic = new ManualClock('1970-01-01T00:00:00Z')
  #offsetMs: number

  constructor(start = '2026-01-01T00:00:00Z') {
    this.#offsetMs = Date.parse(start)
  }

  now(): number {
    return this.#monotonic.now() + this.#offsetMs
  }

  monotonic(): number {
    return this.#monotonic.now()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#monotonic.sleep(ms, signal)
  }

  /** Sets the wall clock forward, or back with a negative number, without waking anybody. */
  setForward(ms: number): void {
    this.#offsetMs += ms
  }

  /** Advances time in steps, and lets all consequences happen after each step. */
  async pass(ms: number, stepMs = ms): Promise<void> {
    await quiet()
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.#monotonic.advance(Math.min(stepMs, ms - passed))
      await quiet()
    }
  }
}

/** Resolves when everything has happened that needs no more time. */
export async function quiet(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn()
}
