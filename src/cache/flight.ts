import { LinkedSignal } from '../signals/linked-signal.ts'
import { untilAborted } from '../signals/until-aborted.ts'

/** One load of a key, and those who wait for its value. */
export class Flight<V> {
  readonly #answer = Promise.withResolvers<V>()
  readonly #linked: LinkedSignal
  readonly #abandoned: () => void
  #waiters = 0
  #hasEnded = false
  #isBackground = false

  /**
   * @param stopped aborts when the cache is closed
   * @param abandoned called when the last waiter has left
   */
  constructor(stopped: AbortSignal, abandoned: () => void) {
    this.#linked = new LinkedSignal(stopped)
    this.#abandoned = abandoned
    // A refresh has no waiters.
    this.#answer.promise.catch(() => {})
  }

  /** Aborts when nobody waits any more, unless it is a refresh, and when the cache is closed. */
  get signal(): AbortSignal {
    return this.#linked.signal
  }

  /** Whether it continues without waiters. */
  get isBackground(): boolean {
    return this.#isBackground
  }

  /** Lets it continue without waiters. */
  intoBackground(): void {
    this.#isBackground = true
  }

  /** Gives those who wait a stale value; the load continues. */
  answer(value: V): void {
    this.#isBackground = true
    this.#answer.resolve(value)
  }

  /** @throws the error of the load, or the reason of the signal */
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
    // The caller must know this flight before the load can ask for the same key.
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
