interface Entry<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: ((error: unknown) => void) | undefined
}

/**
 * Sends items in batches. Items that arrive in the same turn of the event loop are sent together. If all lanes are busy, new items wait
 * until a batch ends. So batches grow with the load.
 */
export class Batcher<T, R> {
  readonly #flush: (items: readonly T[]) => Promise<readonly R[]>
  readonly #largest: number
  readonly #lanes: number
  readonly #isMoreComing: () => boolean
  readonly #ifFailed: R | undefined
  #entries: Entry<T, R>[] = []
  #busy = 0
  #isScheduled = false
  #onIdle: (() => void)[] = []

  /**
   * @param flush receives at most `largest` items and returns their results in order; an error fails the whole batch
   * @param lanes how many batches may run at the same time
   * @param isMoreComing while it returns true, a batch that is not full waits for the next turn of the event loop
   * @param ifFailed the result of items in a failed batch that were added without `reject`
   */
  constructor(
    flush: (items: readonly T[]) => Promise<readonly R[]>,
    {
      largest = 1_000,
      lanes = 1,
      isMoreComing = () => false,
      ifFailed,
    }: {
      readonly largest?: number
      readonly lanes?: number
      readonly isMoreComing?: () => boolean
      readonly ifFailed?: R
    } = {},
  ) {
    this.#flush = flush
    this.#largest = largest
    this.#lanes = lanes
    this.#isMoreComing = isMoreComing
    this.#ifFailed = ifFailed
  }

  add(item: T): Promise<R> {
    return new Promise<R>((resolve, reject) => this.push(item, resolve, reject))
  }

  /** Like `add`, but without a promise for each item. */
  push(item: T, resolve: (result: R) => void, reject?: (error: unknown) => void): void {
    this.#entries.push({ item, resolve, reject })
    this.#schedule()
  }

  /** Resolves when all added items have been flushed. */
  async idle(): Promise<void> {
    if (this.#busy > 0 || this.#entries.length > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #schedule(): void {
    if (this.#isScheduled || this.#busy >= this.#lanes) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#send()
    })
  }

  #send(): void {
    while (this.#entries.length > 0 && this.#busy < this.#lanes) {
      if (this.#entries.length < this.#largest && this.#isMoreComing()) return this.#schedule()
      void this.#work(this.#entries.splice(0, this.#largest))
    }
  }

  async #work(batch: readonly Entry<T, R>[]): Promise<void> {
    this.#busy += 1
    let answer: () => void
    try {
      const results = await this.#flush(batch.map((entry) => entry.item))
      answer = () => batch.forEach((entry, index) => entry.resolve(results[index] as R))
    } catch (error) {
      answer = () => batch.forEach(({ resolve, reject }) => (reject ? reject(error) : resolve(this.#ifFailed as R)))
    }
    this.#busy -= 1
    // Sends the next batch first, before the callers of this batch continue with their own work.
    this.#send()
    answer()
    if (this.#busy > 0 || this.#entries.length > 0) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }
}
