import { setImmediate } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { type BrokenRow, soundRows } from '../values/broken-row.ts'
import { BrokenRows } from '../values/broken-rows.ts'
import { RowCheck } from '../values/row-check.ts'
import { ROW_RULES, type TableName } from '../values/row-rules.ts'

/** The maximum number of rows that are returned, and of steps of the check. */
const MAX_ROWS = 100
const MAX_STEPS = 2_000
/** How many of the newest rows of each table are also read. The number is smaller for tables with JSON, whose rows may be large. */
const NEWEST = 200
const NEWEST_JSON = 20
/** The number of shared values that one statement checks. SQLite blocks the event loop for about 1 ms for each megabyte. */
const SHARED_AT_ONCE = { mysql: 100, sqlite: 10 } as const

/**
 * Searches all tables for rows that can't be read: everything that the leader checks, the newest rows of every table, and all shared
 * values. The reports of the running app are not affected.
 */
export async function brokenFacts(database: Database): Promise<readonly BrokenRow[]> {
  const found = new Map<string, BrokenRow>()
  const add = (row: BrokenRow): void => {
    const name = `${row.table} ${row.key}`
    if (found.size < MAX_ROWS && !found.has(name)) found.set(name, row)
  }
  const { db, dialect } = database
  // These queries read all checked columns of a row, so a second report of the same row adds nothing.
  const tables = Object.keys(ROW_RULES) as TableName[]
  for (const table of tables) for (const row of await newestBroken(database, table)) add(row)
  for (const row of await brokenShared(database)) add(row)
  const broken = new BrokenRows()
  broken.onReport = add
  const check = new RowCheck({ db, dialect, broken })
  for (let steps = 0; steps < MAX_STEPS && found.size < MAX_ROWS; steps++) if (!(await check.step())) break
  return [...found.values()]
}

/** Returns the unreadable rows among the rows with the greatest keys of a table. */
async function newestBroken({ db, dialect }: Database, table: TableName): Promise<BrokenRow[]> {
  const { key, columns } = ROW_RULES[table]
  // The type is general, because the tables have different columns.
  let query = (db as unknown as Kysely<Record<string, Record<string, unknown>>>)
    .selectFrom(table)
    .select([...new Set([...key, ...Object.keys(columns)])])
    .limit(hasJson(table) ? NEWEST_JSON : NEWEST)
  for (const column of key) query = query.orderBy(column, 'desc')
  return brokenAmong(dialect, table, await query.execute())
}

/**
 * Searches for unreadable shared values. Each version may be published again, so all versions are checked. The database checks them,
 * because a value may be a megabyte in size.
 */
async function brokenShared({ db, dialect }: Database): Promise<BrokenRow[]> {
  const broken: BrokenRow[] = []
  const size = SHARED_AT_ONCE[dialect.name]
  const page = db
    .selectFrom('piko_shared')
    .select(['topic', 'version', sql<number>`json_valid(value)`.as('is_valid')])
    .orderBy('topic')
    .orderBy('version')
    .limit(size)
  for (let rows = await page.execute(); ;) {
    for (const { topic, version, is_valid } of rows) {
      if (Number(is_valid) === 1 || broken.length === NEWEST_JSON) continue
      const row = db.selectFrom('piko_shared').select(['topic', 'version', 'value'])
      const own = await row.where('topic', '=', topic).where('version', '=', version).execute()
      // A database may refuse JSON that Node accepts, such as deeply nested arrays. So Node checks the row again.
      broken.push(...(await brokenAmong(dialect, 'piko_shared', own)))
    }
    const last = rows.at(-1)
    if (!last || rows.length < size) return broken
    await setImmediate()
    const { topic, version } = last
    rows = await page
      .where((eb) => eb.or([eb('topic', '>', topic), eb.and([eb('topic', '=', topic), eb('version', '>', version)])]))
      .execute()
  }
}

/** Lets the event loop continue after each row with JSON, because parsing a megabyte takes about 10 ms. */
async function brokenAmong(
  dialect: Database['dialect'],
  table: TableName,
  rows: readonly object[],
): Promise<BrokenRow[]> {
  const broken: BrokenRow[] = []
  for (const row of rows) {
    soundRows(dialect, table, [row], (found) => broken.push(found))
    if (hasJson(table)) await setImmediate()
  }
  return broken
}

function hasJson(table: TableName): boolean {
  return Object.values(ROW_RULES[table].columns).some(({ kind }) => kind === 'json' || kind === 'schedule')
}
