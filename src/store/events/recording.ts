/** If this process has not learned for this long whether there are readers, it records. */
const MAX_STALE_MS = 5_000
/**
 * After the first reader has begun, every process records once this time has passed: its last check is too old by then, and its open
 * transactions have ended.
 */
export const SETTLE_MS = 2 * MAX_STALE_MS

/**
 * Whether this process records events. It does so while there is a reader on any node, which it learns with its poll for configs. It also
 * does so while it does not know, because a superfluous event does no harm.
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
