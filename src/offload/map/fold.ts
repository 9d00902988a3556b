import type { BatchResult } from '../protocol.ts'
import { reasonOf } from './map-run.ts'

/** Combines the results of batches in the order of their items. A result waits until all earlier results have arrived. */
export class Fold {
  readonly #combine: (a: unknown, b: unknown) => Promise<unknown>
  readonly #parts = new Map<number, { readonly end: number; readonly result: BatchResult }>()
  #next = 0
  #folding: Promise<{ readonly value: unknown } | undefined> = Promise.resolve(undefined)

  constructor(combine: (a: unknown, b: unknown) => Promise<unknown>) {
    this.#combine = combine
  }

  /** Adds the results of a batch. @throws the error of an item, or of the function that combined results in the thread */
  add(first: number, count: number, results: readonly BatchResult[]): void {
    const failed = results.find((result) => !('value' in result))
    if (failed && !('value' in failed)) throw reasonOf(failed)
    const [result] = results
    if (result !== undefined) this.#parts.set(first, { end: first + count, result })
    for (let part = this.#parts.get(this.#next); part !== undefined; part = this.#parts.get(this.#next)) {
      this.#parts.delete(this.#next)
      this.#next = part.end
      this.#fold(part.result)
    }
  }

  /**
   * Returns the combined value; undefined if there were no items.
   *
   * @throws the error of `combine`
   */
  async result(): Promise<unknown> {
    return (await this.#folding)?.value
  }

  #fold(result: BatchResult): void {
    if (!('value' in result)) return
    this.#folding = this.#folding.then(async (before) =>
      before === undefined ? { value: result.value } : { value: await this.#combine(before.value, result.value) },
    )
    // `result` rejects with this error. Without this handler, an early error would end the process.
    this.#folding.catch(() => {})
  }
}
