import { onAbort } from './on-abort.ts'

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

/**
 * Those who wait for the next event. One whose signal aborts is forgotten; a promise would keep each of its reactions until it settles, which
 * may take months.
 */
export class Waiters<T> {
  readonly #waiting = new Set<Waiter<T>>()
  #end: { readonly reason: Error } | undefined

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** @throws the reason of the signal, or that of the end */
  next(signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      if (this.#end) return reject(this.#end.reason)
      const over = (): void => {
        this.#waiting.delete(waiter)
        unlink()
      }
      const waiter: Waiter<T> = {
        resolve: (value) => {
          over()
          resolve(value)
        },
        reject: (reason) => {
          over()
          reject(reason)
        },
      }
      const unlink = signal ? onAbort(signal, () => waiter.reject(signal.reason as Error)) : () => {}
      this.#waiting.add(waiter)
    })
  }

  /** Tells all who wait by now. What goes on has no end. */
  tell(value: T): void {
    this.#end = undefined
    for (const { resolve } of [...this.#waiting]) resolve(value)
  }

  /** Rejects all who wait. @param isFinal whether a later wait ends as well */
  end(reason: Error, isFinal: boolean): void {
    if (isFinal) this.#end = { reason }
    for (const { reject } of [...this.#waiting]) reject(reason)
  }
}
