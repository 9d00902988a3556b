import { sql } from 'kysely'
import { createConnection } from 'mysql2/promise'
import type { Database } from '../../src/store/connection/database.ts'
import { ROW_RULES, type TableName } from '../../src/store/values/row-rules.ts'
import type { TestStore } from './databases.ts'

/** A value that a store accepts from a person who edits a row by hand, but that nobody can read. */
export interface Poison {
  readonly column: string
  readonly value: string | number
}

/** A time that sorts like a valid one, text that sorts after every time, and text that sorts before it. */
const SQLITE_INSTANTS = ['2026-02-30T00:00:00.000Z', 'tomorrow', '', '0', '0000-00-00 00:00:00', '99999999999']

/** All poison values of a table, by the types of its columns: what the store accepts without its checks. */
export function poisonsOf(table: TableName, store: TestStore['name'], columns?: readonly string[]): readonly Poison[] {
  return Object.entries(ROW_RULES[table].columns)
    .filter(([column]) => columns?.includes(column) ?? true)
    .flatMap(([column, { kind }]) => {
      const values = {
        instant: store === 'sqlite' ? SQLITE_INSTANTS : ['0000-00-00 00:00:00'],
        word: [store === 'sqlite' ? 'odd' : ''],
        json: ['{odd'],
        schedule: ['no schedule', '{"kind"'],
        count: store === 'sqlite' ? [-1, 'odd'] : [-1],
        amount: store === 'sqlite' ? [-1, 'odd'] : [-1],
      }[kind]
      return values.map((value) => ({ column, value }))
    })
}

/** Writes a value with the checks of the store turned off. */
export async function poison(
  store: TestStore,
  database: Database,
  table: TableName,
  where: string,
  { column, value }: Poison,
): Promise<void> {
  const { mysql } = store.options
  if (!mysql) {
    await sql`PRAGMA ignore_check_constraints = ON`.execute(database.db)
    const update = sql`UPDATE ${sql.table(table)} SET ${sql.ref(column)} = ${value} WHERE ${sql.raw(where)}`
    await database.retry(() => update.execute(database.db))
    return
  }
  const { host, port, user, password, database: name } = mysql
  const connection = await createConnection({ host, port, user, password, database: name })
  await connection.query("SET SESSION sql_mode = ''")
  await connection.query(`UPDATE ${table} SET \`${column}\` = ? WHERE ${where}`, [value])
  await connection.end()
}
