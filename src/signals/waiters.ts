import { onAbort } from './on-abort.ts'

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

/**
 * Calls that are waiting for the next event. If a call's signal aborts, the call is removed. A promise that all of them share would keep
 * each call in memory until the next event, which may take months.
 */
export class Waiters<T> {
  readonly #waiting = new Set<Waiter<T>>()
  #end: { readonly reason: Error } | undefined

  /** The number of waiting calls. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * Waits for the next event.
   *
   * @throws the reason of the signal, or the reason that was passed to `end`
   */
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

  /** Resolves all waiting calls with the event. Cancels an earlier `end`. */
  tell(value: T): void {
    this.#end = undefined
    for (const { resolve } of [...this.#waiting]) resolve(value)
  }

  /**
   * Rejects all waiting calls.
   *
   * @param isFinal whether calls to `next` are also rejected from now on, until the next `tell`
   */
  end(reason: Error, isFinal: boolean): void {
    if (isFinal) this.#end = { reason }
    for (const { reject } of [...this.#waiting]) reject(reason)
  }
}
