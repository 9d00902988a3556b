import { LinkedSignal } from '../signals/linked-signal.ts'
import { untilAborted } from '../signals/until-aborted.ts'

/** One load of a key, and its waiting callers. */
export class Flight<V> {
  readonly #answer = Promise.withResolvers<V>()
  readonly #linked: LinkedSignal
  readonly #abandoned: () => void
  #waiters = 0
  #hasEnded = false
  #isBackground = false

  /**
   * @param stopped aborts when the cache is closed
   * @param abandoned called when the last caller has stopped waiting for a load in the foreground
   */
  constructor(stopped: AbortSignal, abandoned: () => void) {
    this.#linked = new LinkedSignal(stopped)
    this.#abandoned = abandoned
    // A background refresh has no waiting callers, so its error is handled here.
    this.#answer.promise.catch(() => {})
  }

  /** Aborts when the cache is closed. Unless the load is a background refresh, it also aborts when no caller is waiting any more. */
  get signal(): AbortSignal {
    return this.#linked.signal
  }

  /** Whether the load continues even if no caller is waiting for it. */
  get isBackground(): boolean {
    return this.#isBackground
  }

  /** Lets the load continue even if no caller is waiting for it. */
  intoBackground(): void {
    this.#isBackground = true
  }

  /** Gives the waiting callers a stale value. The load continues in the background. */
  answer(value: V): void {
    this.#isBackground = true
    this.#answer.resolve(value)
  }

  /** Waits for the value of the load. @throws the error of the load, or the reason of the signal */
  async wait(signal: AbortSignal | undefined): Promise<V> {
    this.#waiters += 1
    try {
      return await untilAborted(this.#answer.promise, signal)
    } finally {
      this.#waiters -= 1
      if (this.#waiters === 0 && !this.#hasEnded && !this.#isBackground) {
        this.#abandoned()
        this.#linked.abort()
      }
    }
  }

  /** Runs the load. Never rejects. */
  async run(load: () => Promise<V>, ended: () => void): Promise<void> {
    // The caller registers this flight first, because the load itself may ask for the same key.
    await Promise.resolve()
    try {
      this.#answer.resolve(await load())
    } catch (thrown) {
      this.#answer.reject(thrown)
    } finally {
      this.#hasEnded = true
      this.#linked.release()
      ended()
    }
  }
}
