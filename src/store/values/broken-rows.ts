import { type BrokenRow } from './broken-row.ts'

/** Rows whose report is remembered; the one that was reported first is forgotten first. */
const MAX_REMEMBERED = 1_000

/** Rows that can't be read, each reported once for as long as the same is wrong with it: readers meet them again and again. */
export class BrokenRows {
  /** By table and key: what was wrong. */
  readonly #reported = new Map<string, string>()
  #listener: ((row: BrokenRow) => void) | undefined

  /** Who tells people. What was reported before is told to no one. */
  set onReport(listener: (row: BrokenRow) => void) {
    this.#listener = listener
  }

  // A field, so that it may be handed over as a function.
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
