/** If this process has not heard for this long whether somebody listens, it records. */
const MAX_STALE_MS = 5_000
/** How long after the first reader begins every process records: its last look is then too old, and its open transactions have ended. */
export const SETTLE_MS = 2 * MAX_STALE_MS

/**
 * Whether this process records events. It does while somebody listens anywhere, which it learns with its poll for configs. It also does
 * while it does not know, because an event too many does no harm.
 */
export class Recording {
  #isListened = true
  #heardAt = -Infinity

  /** @param askedAt when the database was asked, by `performance.now()` */
  heard(isListened: boolean, askedAt = performance.now()): void {
    if (askedAt < this.#heardAt) return
    this.#isListened = isListened
    this.#heardAt = askedAt
  }

  get isOn(): boolean {
    return this.#isListened || performance.now() - this.#heardAt > MAX_STALE_MS
  }
}
