/** The maximum number of items in one turn of the event loop: about a millisecond of work. */
const MAX_PER_TURN = 128
const MAX_KEPT = 1_024

/**
 * Spreads large batches of work over several turns of the event loop. Between them, the database's answers are read and its next statements
 * are sent. A single item is processed immediately.
 */
export class Pace<T> {
  readonly #work: (item: T) => void
  #waiting: T[] = []
  #from = 0
  #taken = 0
  #isScheduled = false

  constructor(work: (item: T) => void) {
    this.#work = work
  }

  /** Whether some items wait for their turn. */
  get isBusy(): boolean {
    return this.#waiting.length > 0
  }

  add(item: T): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => this.#next())
    }
    if (this.#taken < MAX_PER_TURN && this.#waiting.length === 0) {
      this.#taken += 1
      this.#work(item)
    } else {
      this.#waiting.push(item)
    }
  }

  #next(): void {
    const to = Math.min(this.#waiting.length, this.#from + MAX_PER_TURN)
    this.#taken = to - this.#from
    this.#isScheduled = this.#taken > 0
    if (this.#isScheduled) setImmediate(() => this.#next())
    const from = this.#from
    const batch = this.#waiting
    this.#from = to
    if (to === batch.length) {
      this.#waiting = []
      this.#from = 0
    } else if (to >= MAX_KEPT) {
      // If handlers create work for each other, some items always wait. Finished items must not stay in memory until no item waits.
      this.#waiting = batch.slice(to)
      this.#from = 0
    }
    for (let index = from; index < to; index++) this.#work(batch[index] as T)
  }
}
