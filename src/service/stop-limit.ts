import type { Clock } from '../clock.ts'

/** The time limit of each remaining step after the deadline, in milliseconds. It is enough for steps that end quickly. */
const HURRIED_MS = 200

/** The common deadline for the stop of a service and its descendants. After it, the stop no longer waits for steps that hang. */
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

  /** Runs a step within the limit. @returns false if the step does not end in time; its later errors are dropped */
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

  /** Ends the limit and its timer. */
  end(): void {
    this.#ended.abort()
  }
}

/** Ignores a late error, because the stop has already reported this step. */
function dropped(): void {
  return undefined
}
