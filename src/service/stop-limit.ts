import { type Clock } from '../clock.ts'

/** After the deadline each step that is left gets this long: what can be closed at once still is. */
const HURRIED_MS = 200

/** The one deadline of the stop of a service and of all below it. What hangs past it is left behind. */
export class StopLimit {
  readonly limitMs: number
  readonly #clock: Clock
  readonly #ended = new AbortController()
  readonly #deadline: Promise<void>
  #isOver = false

  constructor(limitMs: number, clock: Clock) {
    this.limitMs = limitMs
    this.#clock = clock
    this.#deadline = clock.sleep(limitMs, this.#ended.signal).then(() => void (this.#isOver = true))
  }

  /** @returns false when the step has not ended in time; what it throws later is dropped */
  async within(step: () => unknown): Promise<boolean> {
    const work = (async () => step())()
    const hasEnded = await Promise.race([work.then(() => true), this.#deadline.then(() => false)])
    if (hasEnded) return true
    const patience = new AbortController()
    const late = this.#clock.sleep(HURRIED_MS, patience.signal).then(() => false)
    return Promise.race([work.then(() => true), late]).finally(() => {
      patience.abort()
      work.catch(dropped)
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** The stop has ended: no timer is left. */
  end(): void {
    this.#ended.abort()
  }
}

/** The stop has gone on without the step, and has said so. */
function dropped(): void {
  return undefined
}
