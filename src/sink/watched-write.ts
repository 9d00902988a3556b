/**
 * The promise of a write. An unhandled rejection does not end the process. Instead, the promise records whether any code has added a
 * handler.
 */
export class WatchedWrite extends Promise<void> {
  #onSeen: (() => void) | undefined

  // `then` must return plain promises, which do not watch whether a rejection is handled.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** @param onSeen called once when a caller awaits the promise or adds a handler */
  constructor(outcome: Promise<void>, onSeen: () => void) {
    super((resolve, reject) => void outcome.then(resolve, reject))
    super.then(undefined, () => {})
    this.#onSeen = onSeen
  }

  /**
   * Records that a handler was added. `catch`, `finally`, `Promise.all` and `await` also call this method. `await` skips it only for plain
   * promises.
   */
  override then<A = void, B = never>(
    onFulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#onSeen?.()
    this.#onSeen = undefined
    return super.then(onFulfilled, onRejected)
  }
}
