/**
 * A signal that also aborts with others, until it is released. `AbortSignal.any` would keep memory for each call as long as the other
 * signals live.
 */
export class LinkedSignal {
  readonly #controller = new AbortController()
  readonly #parents: readonly AbortSignal[]
  readonly #follow = ({ target }: Event): void => this.abort((target as AbortSignal).reason)

  constructor(...parents: readonly (AbortSignal | undefined)[]) {
    this.#parents = parents.filter((parent) => parent !== undefined)
    const aborted = this.#parents.find((parent) => parent.aborted)
    if (aborted) this.abort(aborted.reason)
    else for (const parent of this.#parents) parent.addEventListener('abort', this.#follow, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Keeps only the first reason. Default: an `AbortError`. */
  abort(reason?: unknown): void {
    this.#controller.abort(reason)
  }

  /** Stops following the other signals. */
  release(): void {
    for (const parent of this.#parents) parent.removeEventListener('abort', this.#follow)
  }
}
