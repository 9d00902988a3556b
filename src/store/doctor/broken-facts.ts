import type { Database } from '../connection/database.ts'
import type { BrokenRow } from '../values/broken-row.ts'
import { BrokenRows } from '../values/broken-rows.ts'
import { RowCheck } from '../values/row-check.ts'

/** The maximum number of rows that are named, and of steps of a check. */
const MAX_ROWS = 100
const MAX_STEPS = 2_000

/** Searches all checked tables for rows that can't be read. The reports of the running app are not affected. */
export async function brokenFacts(database: Database): Promise<readonly BrokenRow[]> {
  const found: BrokenRow[] = []
  const broken = new BrokenRows()
  broken.onReport = (row) => found.push(row)
  const check = new RowCheck({ db: database.db, dialect: database.dialect, broken })
  for (let steps = 0; steps < MAX_STEPS && found.length < MAX_ROWS; steps++) if (!(await check.step())) break
  return found.slice(0, MAX_ROWS)
}
