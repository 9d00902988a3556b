import type { BrokenRow } from './broken-row.ts'

/** The maximum number of reported rows that are kept in memory. The oldest report is dropped first. */
const MAX_REMEMBERED = 1_000

/** Reports unreadable rows. Readers find the same rows again and again, so each row is reported only once, until its fault changes. */
export class BrokenRows {
  /** The fault that was reported last, by table and key. */
  readonly #reported = new Map<string, string>()
  #listener: ((row: BrokenRow) => void) | undefined

  /** Receives the reports. It does not receive earlier reports again. */
  set onReport(listener: (row: BrokenRow) => void) {
    this.#listener = listener
  }

  // An arrow function in a field, so that it can be passed on without its object.
  readonly report = (row: BrokenRow): void => {
    const name = `${row.table} ${row.key}`
    if (this.#reported.get(name) === row.message) return
    this.#reported.set(name, row.message)
    if (this.#reported.size > MAX_REMEMBERED) {
      const [oldest = name] = this.#reported.keys()
      this.#reported.delete(oldest)
    }
    this.#listener?.(row)
  }
}
