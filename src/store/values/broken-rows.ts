import type { BrokenRow } from './broken-row.ts'

/** The maximum number of reported rows that are remembered; the oldest report is forgotten first. */
const MAX_REMEMBERED = 1_000

/** Reports unreadable rows. Readers find the same rows repeatedly, so each row is reported only once until its fault changes. */
export class BrokenRows {
  /** The reported fault, by table and key. */
  readonly #reported = new Map<string, string>()
  #listener: ((row: BrokenRow) => void) | undefined

  /** Receives the reports. Earlier reports are not repeated. */
  set onReport(listener: (row: BrokenRow) => void) {
    this.#listener = listener
  }

  // This is a field, so that it can be passed as a function.
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
