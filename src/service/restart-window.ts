/** Allows at most `limit` restarts in any span of `overMs`. */
export class RestartWindow {
  readonly #limit: number
  readonly #overMs: number
  #restarts: number[] = []

  constructor(limit: number, overMs: number) {
    this.#limit = limit
    this.#overMs = overMs
  }

  /** Returns how many restarts happened within the last `overMs`. */
  count(nowMs: number): number {
    this.#restarts = this.#restarts.filter((at) => nowMs - at < this.#overMs)
    return this.#restarts.length
  }

  /** Counts a restart and returns true. If the limit is reached, returns false. */
  take(nowMs: number): boolean {
    if (this.count(nowMs) >= this.#limit) return false
    this.#restarts.push(nowMs)
    return true
  }

  clear(): void {
    this.#restarts = []
  }
}
