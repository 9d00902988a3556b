import { toError } from '../errors.ts'

/**
 * Callbacks to call at the end, in reverse order. Similar to the standard `AsyncDisposableStack`, which Node has had since version 24. If a
 * callback fails, the others are still called.
 */
export class ExitStack {
  #callbacks: (() => unknown)[] = []

  /** Adds a callback for the end. */
  defer(callback: () => unknown): void {
    this.#callbacks.push(callback)
  }

  /**
   * Calls all callbacks, the last added first, and waits for each. A second call has no effect.
   *
   * @throws the error of the failed callback, or an `AggregateError` of several
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
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} errors while closing`)
  }
}
