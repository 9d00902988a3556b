/** The maximum number of items in one turn of the event loop. They take about a millisecond. */
const MAX_PER_TURN = 128
const MAX_KEPT = 1_024

/**
 * Spreads large batches of work over several turns of the event loop. In between, the process can read the database's answers and send
 * further statements. A single item is processed immediately.
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

  /** Whether items are waiting for a later turn. */
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
      // If handlers always create more work, there are always waiting items. So finished items are removed here, to keep them from filling
      // the memory.
      this.#waiting = batch.slice(to)
      this.#from = 0
    }
    for (let index = from; index < to; index++) this.#work(batch[index] as T)
  }
}
