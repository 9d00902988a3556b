import { databaseFault } from '../../sql/database-faults.ts'
import { type Events } from '../../events.ts'
import { type Clock } from '../../clock.ts'
import { reportFailure } from './loop-failure.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** Made once: without a reason an abort makes an error with a stack, and a busy loop is woken by every run that ends. */
const WOKEN = new Error('woken')

/**
 * Repeats a step until it is stopped. The step says when it wants to be called again; `wake` makes that now. An error
 * never ends a loop: it is reported and the loop goes on after a pause that doubles up to 5 s.
 */
export class Loop {
  readonly name: string
  readonly #step: () => Promise<number>
  readonly #clock: Clock
  readonly #events: Events
  #stopping = new AbortController()
  #pause = new AbortController()
  #isWoken = false
  #failures = 0
  #running: Promise<void> | undefined

  /** @param step returns milliseconds until its next call; `Infinity` waits for `wake` */
  constructor(name: string, step: () => Promise<number>, clock: Clock, events: Events) {
    this.name = name
    this.#step = step
    this.#clock = clock
    this.#events = events
  }

  get isRunning(): boolean {
    return this.#running !== undefined && !this.#stopping.signal.aborted
  }

  /** Consecutive failures; 0 when the last step went well. */
  get failures(): number {
    return this.#failures
  }

  start(): void {
    if (this.#running) return
    this.#stopping = new AbortController()
    this.#running = this.#run()
  }

  /** Makes the next step start at once, also when one is under way. */
  wake(): void {
    if (this.#isWoken) return
    this.#isWoken = true
    this.#pause.abort(WOKEN)
  }

  /** Resolves when the step under way has ended. */
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
      await this.#clock.sleep(delayMs, this.#pause.signal)
    }
  }

  async #attempt(): Promise<number> {
    try {
      const delayMs = await this.#step()
      if (this.#failures > 0) this.#recovered()
      return delayMs
    } catch (thrown) {
      const whole = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures)
      // Those who collided would meet again.
      const retryInMs = databaseFault(thrown) === 'contention' ? whole / 2 + (whole / 2) * Math.random() : whole
      this.#failures += 1
      this.#isWoken = false
      reportFailure(this.#events, { loop: this.name, thrown, retryInMs, failures: this.#failures })
      return retryInMs
    }
  }

  #recovered(): void {
    const failures = this.#failures
    this.#failures = 0
    this.#events.emit('loop.recovered', { loop: this.name, failures })
  }
}
