/** So many in one turn of the event loop: about a millisecond of work. */
const MOST_A_TURN = 64

/**
 * Spreads work that comes in large batches over turns of the event loop, so that the answers of the database are read, and its next
 * statements sent, between them. What comes alone goes at once.
 */
export class Pace {
  readonly #waiting: (() => void)[] = []
  #taken = 0
  #isScheduled = false

  /** Undefined: go on at once. */
  turn(): Promise<void> | undefined {
    if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => this.#next())
    }
    if (this.#taken < MOST_A_TURN) {
      this.#taken += 1
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #next(): void {
    const next = this.#waiting.splice(0, MOST_A_TURN)
    this.#taken = next.length
    this.#isScheduled = next.length > 0
    if (this.#isScheduled) setImmediate(() => this.#next())
    for (const go of next) go()
  }
}
