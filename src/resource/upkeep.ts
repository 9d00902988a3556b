import type { Clock } from '../clock.ts'

/** Repeats a step while there is work. */
export class Upkeep {
  readonly #step: () => Promise<number>
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #pause = new AbortController()
  #isRunning = false

  /**
   * @param step returns the number of milliseconds after which it must be called again; `Infinity` pauses the repetition until `wake`.
   * Never rejects
   * @param signal ends the repetition for good
   */
  constructor(step: () => Promise<number>, clock: Clock, signal: AbortSignal) {
    this.#step = step
    this.#clock = clock
    this.#signal = signal
    signal.addEventListener('abort', () => this.#pause.abort(), { once: true })
  }

  /** Calls the step now, or right after the call in progress. */
  wake(): void {
    this.#pause.abort()
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (!this.#signal.aborted) {
      const pause = new AbortController()
      this.#pause = pause
      const delayMs = await this.#step()
      if (pause.signal.aborted) continue
      if (delayMs === Infinity) break
      if (delayMs > 0) await this.#clock.sleep(delayMs, pause.signal)
    }
    this.#isRunning = false
  }
}
