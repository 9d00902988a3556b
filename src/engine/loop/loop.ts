import { databaseFault } from '../../sql/database-faults.ts'
import type { Clock } from '../../clock.ts'
import type { LoopHealth } from './loop-health.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** Created only once. An abort without a reason would create an error with a stack each time, and every run that ends wakes a busy loop. */
const WOKEN = new Error('woken')

export interface LoopParts {
  readonly name: string
  /** Returns the number of milliseconds after which it must be called again; `Infinity` waits for `wake`. */
  readonly step: () => Promise<number>
  readonly clock: Clock
  readonly loops: LoopHealth
}

/**
 * Repeats a step until it is stopped. The step returns when to call it again; `wake` calls it immediately. An error never ends the loop: it
 * is reported, and the loop continues after a pause. The pause doubles each time, up to 5 s.
 */
export class Loop {
  readonly #parts: LoopParts
  #stopping = new AbortController()
  #pause = new AbortController()
  #isWoken = false
  #failures = 0
  #running: Promise<void> | undefined

  constructor(parts: LoopParts) {
    this.#parts = parts
  }

  get isRunning(): boolean {
    return this.#running !== undefined && !this.#stopping.signal.aborted
  }

  /** The number of steps that failed in a row; 0 if the last one succeeded. */
  get failures(): number {
    return this.#failures
  }

  start(): void {
    if (this.#running) return
    this.#stopping = new AbortController()
    this.#running = this.#run()
  }

  /** Starts the next step immediately, or right after the running one. */
  wake(): void {
    if (this.#isWoken) return
    this.#isWoken = true
    this.#pause.abort(WOKEN)
  }

  /** Stops the loop. Resolves when the running step has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(WOKEN)
    this.#pause.abort(WOKEN)
    await this.#running
    this.#running = undefined
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isWoken = false
      const delayMs = await this.#attempt()
      if (this.#isWoken || this.#stopping.signal.aborted || delayMs <= 0) continue
      this.#pause = new AbortController()
      await this.#parts.clock.sleep(delayMs, this.#pause.signal, this.#parts.name)
    }
  }

  async #attempt(): Promise<number> {
    try {
      const delayMs = await this.#parts.step()
      if (this.#failures > 0) this.#recovered()
      return delayMs
    } catch (thrown) {
      const whole = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures)
      // After a conflict, the pause is random. Otherwise the same transactions would conflict again.
      const retryInMs = databaseFault(thrown) === 'contention' ? whole / 2 + (whole / 2) * Math.random() : whole
      this.#failures += 1
      this.#isWoken = false
      this.#parts.loops.failed({ loop: this.#parts.name, thrown, retryInMs, failures: this.#failures })
      return retryInMs
    }
  }

  #recovered(): void {
    const failures = this.#failures
    this.#failures = 0
    this.#parts.loops.recovered(this.#parts.name, failures)
  }
}
