import { LONGEST_TIMER_MS } from '../../clock.ts'

/**
 * A time limit that can be paused: only the time between `start` and `halt` counts. One of more than 25 days, which no timer of Node takes,
 * ends after 25.
 */
export class CallTimer {
  readonly #onTimeout: () => void
  #leftMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  #since = 0

  constructor(limitMs: number | undefined, onTimeout: () => void) {
    this.#leftMs = limitMs
    this.#onTimeout = onTimeout
  }

  start(): void {
    if (this.#leftMs === undefined || this.#timer) return
    this.#since = performance.now()
    this.#timer = setTimeout(this.#onTimeout, Math.min(this.#leftMs, LONGEST_TIMER_MS))
  }

  halt(): void {
    if (this.#leftMs === undefined || !this.#timer) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#since))
  }
}
