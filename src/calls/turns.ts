import { Fifo } from '../resource/fifo.ts'
import { onAbort } from '../signals/on-abort.ts'

interface Waiter<T, R> {
  readonly value: T
  readonly resolve: (result: R) => void
  readonly reject: (reason: Error) => void
}

/**
 * A queue of callers that are waiting for their turn, first in, first out. If a caller's signal aborts, the caller leaves the queue.
 *
 * @typeParam T the value that a caller passes
 * @typeParam R the result of its turn
 */
export class Turns<T, R = void> {
  readonly #waiters = new Fifo<Waiter<T, R>>()

  get size(): number {
    return this.#waiters.size
  }

  /** The value that the next caller passed. */
  get first(): T | undefined {
    return this.#waiters.first?.value
  }

  /**
   * Waits for a turn.
   *
   * @param left called when the signal has removed this caller from the queue
   * @throws the signal's reason
   */
  wait(value: T, signal: AbortSignal | undefined, left: () => void = () => {}): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error)
        return
      }
      const leave = (): void => {
        this.#waiters.remove(place)
        reject(signal?.reason as Error)
        left()
      }
      const stay = signal ? onAbort(signal, leave) : () => {}
      const place = this.#waiters.push({
        value,
        resolve: (result) => {
          stay()
          resolve(result)
        },
        reject: (reason: Error) => {
          stay()
          reject(reason)
        },
      })
    })
  }

  /** Gives the next caller its turn, and returns the value that it passed. The queue must not be empty. */
  give(result: R): T {
    const waiter = this.#next()
    waiter.resolve(result)
    return waiter.value
  }

  /** Rejects all waiting callers. */
  refuseAll(reason: unknown): void {
    while (this.#waiters.size > 0) this.#next().reject(reason as Error)
  }

  #next(): Waiter<T, R> {
    const waiter = this.#waiters.shift()
    if (!waiter) throw new RangeError('no caller is waiting')
    return waiter
  }
}
