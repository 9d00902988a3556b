/** Makes the writers of one key write one after another. */
export class KeyTurns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Calls `fn` when all earlier calls for the key have ended, with or without an error. */
  async take<T>(key: string, fn: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(fn)
    const ended = turn.catch(() => {})
    this.#last.set(key, ended)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    }
  }
}
