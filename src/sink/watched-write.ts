/** The promise of a write. Unhandled, its refusal does not end the process, but records that nobody looked at it. */
export class WatchedWrite extends Promise<void> {
  #onSeen: (() => void) | undefined

  // Promises that `then` derives are plain promises again.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** @param onSeen called once, when a caller awaits the promise or adds a handler */
  constructor(outcome: Promise<void>, onSeen: () => void) {
    super((resolve, reject) => void outcome.then(resolve, reject))
    super.then(undefined, () => {})
    this.#onSeen = onSeen
  }

  /** `await`, `catch`, `finally` and `Promise.all` also call this: `await` skips `then` only on plain promises. */
  override then<A = void, B = never>(
    onFulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#onSeen?.()
    this.#onSeen = undefined
    return super.then(onFulfilled, onRejected)
  }
}
