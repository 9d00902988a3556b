/** So many in one turn of the event loop: about a millisecond of work. */
const MAX_A_TURN = 128
const MAX_KEPT = 1_024

/**
 * Spreads work that comes in large batches over turns of the event loop, so that the answers of the database are read, and its next
 * statements sent, between them. What comes alone goes at once.
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

  /** Some wait for their turn. */
  get isBusy(): boolean {
    return this.#waiting.length > 0
  }

  add(item: T): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => this.#next())
    }
    if (this.#taken < MAX_A_TURN && this.#waiting.length === 0) {
      this.#taken += 1
      this.#work(item)
    } else {
      this.#waiting.push(item)
    }
  }

  #next(): void {
    const to = Math.min(this.#waiting.length, this.#from + MAX_A_TURN)
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
      // Some always wait where handlers make work for each other: what is done must not be kept until none does.
      this.#waiting = batch.slice(to)
      this.#from = 0
    }
    for (let index = from; index < to; index++) this.#work(batch[index] as T)
  }
}
