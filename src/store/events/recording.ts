/** If a process has not heard for this long whether there are readers, it records events. */
const MAX_STALE_MS = 5_000
/**
 * This long after the first reader has begun, every process certainly records events: its earlier check is too old by then, and its earlier
 * transactions have ended. Changes without a transaction are noted afterwards.
 */
export const SETTLE_MS = 2 * MAX_STALE_MS

/**
 * Whether this process records events. It records them while any node has a reader, which the poll for configs shows. If the process does
 * not know whether there is a reader, it records events too, because an unnecessary event does no harm.
 */
export class Recording {
  #isListened = true
  #heardAt = -Infinity

  /** Stores whether any node has a reader of events. @param askedAt when the database was queried, by `performance.now()` */
  heard(isListened: boolean, askedAt = performance.now()): void {
    if (askedAt < this.#heardAt) return
    this.#isListened = isListened
    this.#heardAt = askedAt
  }

  get isOn(): boolean {
    return this.#isListened || performance.now() - this.#heardAt > MAX_STALE_MS
  }
}
