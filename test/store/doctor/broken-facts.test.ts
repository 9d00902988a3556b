import { sql } from 'kysely'
import { createConnection } from 'mysql2/promise'
import { expect, it } from 'vitest'
import type { Database } from '../../../src/store/connection/database.ts'
import { brokenFacts } from '../../../src/store/doctor/broken-facts.ts'
import { ROW_RULES, type TableName } from '../../../src/store/values/row-rules.ts'
import { describeEachStore, type TestStore } from '../../support/databases.ts'
import { poisonsOf } from '../../support/poison.ts'

interface Column {
  readonly name: string
  readonly type: string
  /** Whether a row needs a value for it. */
  readonly isNeeded: boolean
}

async function columnsOf({ db, dialect }: Database, table: TableName): Promise<Column[]> {
  const of =
    dialect.name === 'mysql'
      ? sql<{ name: string; type: string; needed: number }>`
          SELECT column_name AS name, data_type AS type,
            is_nullable = 'NO' AND column_default IS NULL AND extra = '' AS needed
          FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ${table}`
      : sql<{ name: string; type: string; needed: number }>`
          SELECT name, type, "notnull" = 1 AND dflt_value IS NULL AS needed FROM pragma_table_info(${table})`
  const { rows } = await of.execute(db)
  return rows.map(({ name, type, needed }) => ({ name, type, isNeeded: Number(needed) === 1 }))
}

/** Stores a row in which no ruled column can be read, as a store without its checks accepts it. */
async function plant(store: TestStore, database: Database, table: TableName): Promise<void> {
  const poisons = new Map(poisonsOf(table, store.name).map(({ column, value }) => [column, value]))
  const values = new Map<string, string | number>()
  for (const { name, type, isNeeded } of await columnsOf(database, table)) {
    const other = /int|double|real/i.test(type) ? 1 : 'x'
    const value = poisons.get(name) ?? (isNeeded ? other : undefined)
    if (value !== undefined) values.set(name, value)
  }
  const names = [...values.keys()].map((name) => `\`${name}\``)
  const statement = `INSERT INTO ${table} (${names.join()}) VALUES (${names.map(() => '?').join()})`
  const { mysql } = store.options
  if (!mysql) {
    await sql`PRAGMA ignore_check_constraints = ON`.execute(database.db)
    await database.sql.exec(statement, [...values.values()])
    return
  }
  const { host, port, user, password, database: name } = mysql
  const connection = await createConnection({ host, port, user, password, database: name })
  await connection.query("SET SESSION sql_mode = ''")
  await connection.query(statement, [...values.values()])
  await connection.end()
}

describeEachStore((store) => {
  it('names every unreadable column of every table, with a statement that corrects the row', async () => {
    const database = await store.open()
    await store.empty()
    const tables = Object.entries(ROW_RULES)
      .filter(([, { columns }]) => Object.keys(columns).length > 0)
      .map(([table]) => table as TableName)
    for (const table of tables) await plant(store, database, table)
    const found = await brokenFacts(database)
    const named = Map.groupBy(found, ({ table }) => table)
    for (const table of tables) {
      const columns = [...new Set(named.get(table)?.flatMap((row) => row.columns))]
      expect([table, columns.sort()]).toEqual([table, Object.keys(ROW_RULES[table].columns).sort()])
    }
    for (const { message } of found) await database.sql.exec(/UPDATE .*$/s.exec(message)?.[0] ?? message)
    expect((await brokenFacts(database)).map(({ message }) => message)).toEqual([])
  })

  it('reads every version of every shared value, also behind many that only the database refuses', async () => {
    const database = await store.open()
    await store.empty()
    const at = database.dialect.instant(new Date())
    const versions = Array.from({ length: 60 }, (_, index) => ({ topic: 'rates', version: index + 1, created_at: at }))
    const deep = '['.repeat(1_100) + ']'.repeat(1_100)
    const valueOf = (version: number): string => (version === 30 ? '{odd' : version < 26 ? deep : '{}')
    await database.db
      .insertInto('piko_shared')
      .values(versions.map((row) => ({ ...row, value: valueOf(row.version) })))
      .execute()
    expect((await brokenFacts(database)).map(({ key }) => key)).toEqual(["topic = 'rates' AND version = 30"])
  })
})
