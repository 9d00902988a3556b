import { resolve } from 'node:path'

/** Somebody who holds the turn for longer waits for this caller, most likely: SQLite's own "database is locked" says so. */
const LONGEST_WAIT_MS = 5_000

/**
 * The one turn to write to a file, among the connections of this process. SQLite would let the second writer wait by blocking
 * the event loop, on which the first one has to come to its end.
 */
export class SqliteTurn {
  static readonly #byPath = new Map<string, SqliteTurn>()
  readonly #waiting: (() => void)[] = []
  #isTaken = false

  static of(path: string): SqliteTurn {
    if (path === ':memory:') return new SqliteTurn()
    const key = resolve(path)
    const turn = this.#byPath.get(key) ?? new SqliteTurn()
    this.#byPath.set(key, turn)
    return turn
  }

  /** Resolves with the function that gives the turn back. */
  async take(): Promise<() => void> {
    await this.#free()
    this.#isTaken = true
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#isTaken = false
      this.#waiting.shift()?.()
    }
  }

  async #free(): Promise<void> {
    const deadline = performance.now() + LONGEST_WAIT_MS
    while (this.#isTaken && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(() => {
          const index = this.#waiting.indexOf(go)
          if (index >= 0) this.#waiting.splice(index, 1)
          resolve()
        }, deadline - performance.now())
        this.#waiting.push(go)
      })
    }
  }
}
