import { type BrokenRow, readEach } from '../../values/broken-row.ts'
import type { Database } from '../../connection/database.ts'
import { CLAIM_COLUMNS, claimOf } from '../run-row.ts'
import { QUEUED } from '../run-states.ts'

/** The maximum number of broken rows that are set aside. If there are more, claims fail, because a person must fix the rows. */
const MAX_ASIDE = 1_000
/** The minimum time between two checks for corrected rows, in milliseconds. */
const LOOK_MS = 2_000

/** Due runs whose rows can't be read. This node leaves them out of its claims until a person has corrected the rows. */
export class SetAsideRuns {
  readonly #database: Database
  readonly #ids = new Set<number>()
  #lookAt = 0

  constructor(database: Database) {
    this.#database = database
  }

  get ids(): ReadonlySet<number> {
    return this.#ids
  }

  get isFull(): boolean {
    return this.#ids.size >= MAX_ASIDE
  }

  add(rows: readonly BrokenRow[]): void {
    if (this.#ids.size === 0) this.#lookAt = performance.now() + LOOK_MS
    for (const row of rows) {
      if (row.id !== undefined) this.#ids.add(row.id)
      this.#database.broken.report(row)
    }
  }

  /** Removes runs that can be read again or have left the queue. Does nothing while none is set aside. */
  async refresh(): Promise<void> {
    if (this.#ids.size === 0 || performance.now() < this.#lookAt) return
    this.#lookAt = performance.now() + LOOK_MS
    const { db, dialect } = this.#database
    const ids = [...this.#ids]
    const rows = await db
      .selectFrom('piko_run')
      .select(CLAIM_COLUMNS)
      .where('id', 'in', ids)
      .where('state', '=', QUEUED)
      .execute()
    const { broken } = readEach(dialect, 'piko_run', rows, (row) => claimOf(row, dialect))
    const still = new Set(broken.map(({ id }) => id))
    for (const id of ids) if (!still.has(id)) this.#ids.delete(id)
    broken.forEach(this.#database.broken.report)
  }
}
