import { after } from '../../time/after.ts'

/** A time limit that can be paused. Only the time between `start` and `halt` is counted. */
export class CallTimer {
  readonly #onTimeout: () => void
  #leftMs: number | undefined
  #cancel: (() => void) | undefined
  #since = 0

  constructor(limitMs: number | undefined, onTimeout: () => void) {
    this.#leftMs = limitMs
    this.#onTimeout = onTimeout
  }

  start(): void {
    if (this.#leftMs === undefined || this.#cancel) return
    this.#since = performance.now()
    this.#cancel = after(this.#leftMs, this.#onTimeout)
  }

  halt(): void {
    if (this.#leftMs === undefined || !this.#cancel) return
    this.#cancel()
    this.#cancel = undefined
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#since))
  }
}
