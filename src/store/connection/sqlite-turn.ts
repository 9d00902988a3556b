import { resolve } from 'node:path'

/** Who holds the turn for longer waits for this caller, most likely: SQLite's own "database is locked" says so. */
const MAX_HELD_MS = 5_000

/**
 * The one turn to write to a file, among the connections of this process. SQLite would let the second writer wait by blocking
 * the event loop, on which the first one has to come to its end.
 */
export class SqliteTurn {
  static readonly #byPath = new Map<string, SqliteTurn>()
  /** In line; called when the turn is theirs. */
  readonly #waiting = new Set<() => void>()
  /** When its holder got it; undefined while nobody has it. */
  #takenAt: number | undefined

  static of(path: string): SqliteTurn {
    if (path === ':memory:') return new SqliteTurn()
    const key = resolve(path)
    const turn = this.#byPath.get(key) ?? new SqliteTurn()
    this.#byPath.set(key, turn)
    return turn
  }

  /**
   * Resolves with the function that gives the turn back. However long the line is, nobody leaves it while it moves; who stands behind a
   * holder that does not come to an end goes on without the turn.
   */
  async take(): Promise<() => void> {
    if (this.#takenAt !== undefined && !(await this.#standInLine())) return () => {}
    this.#takenAt = performance.now()
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#passOn()
    }
  }

  /** To the next in line, so that nobody takes it in between. */
  #passOn(): void {
    const [next] = this.#waiting
    this.#takenAt = next ? performance.now() : undefined
    next?.()
  }

  /** Resolves with true when the turn is the caller's. */
  #standInLine(): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (isMine: boolean): void => {
        clearTimeout(timer)
        this.#waiting.delete(mine)
        resolve(isMine)
      }
      const mine = (): void => leave(true)
      const look = (): void => {
        const leftMs = this.#leftMs()
        if (leftMs <= 0) leave(false)
        else timer = setTimeout(look, leftMs)
      }
      let timer = setTimeout(look, this.#leftMs())
      this.#waiting.add(mine)
    })
  }

  #leftMs(): number {
    return (this.#takenAt ?? performance.now()) + MAX_HELD_MS - performance.now()
  }
}
