import { onAbort } from './on-abort.ts'

/**
 * A signal that also aborts when others abort, until it is released. `AbortSignal.any` would use memory for each call as long as the other
 * signals exist.
 */
export class LinkedSignal {
  readonly #controller = new AbortController()
  readonly #links: (() => void)[] = []

  constructor(...parents: readonly (AbortSignal | undefined)[]) {
    for (const parent of parents) {
      if (!parent) continue
      if (parent.aborted) this.abort(parent.reason)
      else this.#links.push(onAbort(parent, () => this.abort(parent.reason)))
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Aborts the signal. Keeps only the first reason. Default: an `AbortError`. */
  abort(reason?: unknown): void {
    this.#controller.abort(reason)
  }

  /** Removes the connection to the other signals. */
  release(): void {
    for (const unlink of this.#links) unlink()
  }
}
