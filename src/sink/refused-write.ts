/** The promise of a refused write. One that nobody looks at does not end the process; it only knows that nobody did. */
export class RefusedWrite extends Promise<void> {
  #onSeen: (() => void) | undefined

  // What `then` derives from it is a plain promise again.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** @param onSeen called once, when somebody awaits it or hangs something on it */
  constructor(error: Error, onSeen: () => void) {
    super((_resolve, reject) => reject(error))
    super.then(undefined, () => {})
    this.#onSeen = onSeen
  }

  /** `await`, `catch`, `finally` and `Promise.all` come here too: `await` skips `then` of plain promises only. */
  override then<A = void, B = never>(
    onFulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#onSeen?.()
    this.#onSeen = undefined
    return super.then(onFulfilled, onRejected)
  }
}
