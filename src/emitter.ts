import { stackOf } from './errors-read.ts'

type Listener = (payload: never) => unknown

interface Entry {
  readonly listener: Listener
  readonly isOnce: boolean
}

/**
 * Typed events for users. Listeners may be async. If a listener fails, its error is reported and the others still run.
 *
 * @typeParam M the payloads by event name
 */
export class Emitter<M extends object> {
  readonly #entries = new Map<string, Entry[]>()
  readonly #report: (error: unknown, name: string) => void

  /** @param report called with the error of a listener. Default: a process warning */
  constructor(report: (error: unknown, name: string) => void = warn) {
    this.#report = report
  }

  /** Calls the listener for each event of this name. @returns a function that removes it */
  on<N extends keyof M & string>(name: N, listener: (payload: M[N]) => unknown): () => void {
    return this.#add(name, { listener, isOnce: false })
  }

  /** Calls the listener for the next event of this name only. @returns a function that removes it */
  once<N extends keyof M & string>(name: N, listener: (payload: M[N]) => unknown): () => void {
    return this.#add(name, { listener, isOnce: true })
  }

  /** Removes a listener, or all listeners of this name. */
  off<N extends keyof M & string>(name: N, listener?: (payload: M[N]) => unknown): void {
    const left = listener ? (this.#entries.get(name) ?? []).filter((entry) => entry.listener !== listener) : []
    if (left.length > 0) this.#entries.set(name, left)
    else this.#entries.delete(name)
  }

  /** Whether this event has any listeners. */
  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /**
   * Calls all listeners in the order in which they were added. Never rejects.
   *
   * @returns a promise that resolves when all listeners have finished
   */
  async emit<N extends keyof M & string>(name: N, payload: M[N]): Promise<void> {
    const entries = this.#entries.get(name)
    if (!entries) return
    const stay = entries.filter(({ isOnce }) => !isOnce)
    if (stay.length === 0) this.#entries.delete(name)
    else if (stay.length < entries.length) this.#entries.set(name, stay)
    await Promise.all(entries.map((entry) => this.#call(entry, name, payload)))
  }

  async #call({ listener }: Entry, name: string, payload: unknown): Promise<void> {
    try {
      await (listener as (payload: unknown) => unknown)(payload)
    } catch (error) {
      this.#reported(error, name)
    }
  }

  #reported(error: unknown, name: string): void {
    try {
      this.#report(error, name)
    } catch (failure) {
      warn(error, name)
      warn(failure, name)
    }
  }

  #add(name: string, entry: Entry): () => void {
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), entry])
    return () => {
      const left = (this.#entries.get(name) ?? []).filter((other) => other !== entry)
      if (left.length > 0) this.#entries.set(name, left)
      else this.#entries.delete(name)
    }
  }
}

function warn(error: unknown, name: string): void {
  process.emitWarning(
    `a listener of the event ${JSON.stringify(name)} failed: ${stackOf(error)}`,
    'PikoListenerWarning',
  )
}
