import { toError } from '../errors.ts'

/**
 * What must be undone at the end, undone in reverse order. Like the standard's `AsyncDisposableStack`, which Node has from
 * 24 on only. Every callback is called even when one fails.
 */
export class ExitStack {
  #callbacks: (() => unknown)[] = []

  /** Adds what is to be called at the end. */
  defer(callback: () => unknown): void {
    this.#callbacks.push(callback)
  }

  /**
   * Calls everything, the last added first, and waits for each. A second call has nothing left to do.
   *
   * @throws the error of the one callback that failed, or an `AggregateError` of several
   */
  async close(): Promise<void> {
    const callbacks = this.#callbacks.reverse()
    this.#callbacks = []
    const errors: Error[] = []
    for (const callback of callbacks) {
      try {
        await callback()
      } catch (error) {
        errors.push(toError(error))
      }
    }
    const [first] = errors
    if (first && errors.length === 1) throw first
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} things failed to close`)
  }
}
