import { resolve } from 'node:path'

/**
 * How long a caller waits for one holder. After this time, the holder is probably waiting for this caller. Then SQLite reports "database is
 * locked".
 */
const MAX_HELD_MS = 5_000

/**
 * The turn to write to a file. All connections of this process share it. Without it, a second writer would block the event loop inside
 * SQLite, but the first writer needs the event loop to finish.
 */
export class SqliteTurn {
  static readonly #byPath = new Map<string, SqliteTurn>()
  /** The waiting callers in order. Calling a function gives its caller the turn. */
  readonly #waiting = new Set<() => void>()
  /** When the current holder got the turn; undefined if it is free. */
  #takenAt: number | undefined

  static of(path: string): SqliteTurn {
    if (path === ':memory:') return new SqliteTurn()
    const key = resolve(path)
    const turn = this.#byPath.get(key) ?? new SqliteTurn()
    this.#byPath.set(key, turn)
    return turn
  }

  /**
   * Returns a function that releases the turn, as a promise only if the turn is not free. Then a caller waits while the callers before it
   * get their turns. If a holder never finishes, the caller continues without the turn.
   */
  take(): (() => void) | Promise<() => void> {
    if (this.isFree) return this.#taken()
    return this.#standInLine().then((isMine) => (isMine ? this.#taken() : () => {}))
  }

  get isFree(): boolean {
    return this.#takenAt === undefined
  }

  #taken(): () => void {
    this.#takenAt = performance.now()
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#passOn()
    }
  }

  /** Gives the turn directly to the first waiting caller, so that no other caller can take it in between. */
  #passOn(): void {
    const [next] = this.#waiting
    this.#takenAt = next ? performance.now() : undefined
    next?.()
  }

  /** Waits for the turn. Resolves with true if the caller has obtained it. */
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
