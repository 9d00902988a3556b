/** Calls functions one after another, in the order of their requests. */
export class Sequence {
  #last: Promise<unknown> = Promise.resolve()

  /** Calls `fn` when all earlier calls have ended, with or without an error. */
  take<T>(fn: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(fn)
    this.#last = turn.catch(() => {})
    return turn
  }
}
