import { Pace } from './pace.ts'

interface Entry<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/**
 * Turns single calls into batches: what arrives while one batch is under way goes out together as the next. An idle
 * batcher adds no delay beyond the current turn of the event loop, and a busy one costs one round trip per batch.
 */
export class Batcher<T, R> {
  readonly #flush: (items: readonly T[]) => Promise<readonly R[]>
  readonly #largest: number
  readonly #pace = new Pace()
  #entries: Entry<T, R>[] = []
  #working: Promise<void> | undefined

  /** @param flush gets at most `largest` items and returns their results in order; its error fails all of the batch */
  constructor(flush: (items: readonly T[]) => Promise<readonly R[]>, largest = 1_000) {
    this.#flush = flush
    this.#largest = largest
  }

  add(item: T): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#entries.push({ item, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /** Resolves when nothing is waiting and nothing is under way. */
  async idle(): Promise<void> {
    while (this.#working) await this.#working
  }

  /** A few a turn: those who waited go on with work of their own, and the next batch is to be sent meanwhile. */
  async #answer(batch: readonly Entry<T, R>[], results: readonly R[]): Promise<void> {
    for (const [index, entry] of batch.entries()) {
      const turn = this.#pace.turn()
      if (turn) await turn
      entry.resolve(results[index] as R)
    }
  }

  async #work(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    while (this.#entries.length > 0) {
      const batch = this.#entries.splice(0, this.#largest)
      try {
        const results = await this.#flush(batch.map((entry) => entry.item))
        void this.#answer(batch, results)
      } catch (error) {
        for (const entry of batch) entry.reject(error)
      }
    }
    this.#working = undefined
  }
}
