import { sql } from 'kysely'
import { createConnection } from 'mysql2/promise'
import { type Database } from '../../src/store/connection/database.ts'
import { ROW_RULES, type TableName } from '../../src/store/values/row-rules.ts'
import { type TestStore } from './databases.ts'

/** A value that a store takes from somebody who edits a row by hand, and that nobody can read. */
export interface Poison {
  readonly column: string
  readonly value: string | number
}

/** With a time that sorts as one, text that sorts behind every time, and text that sorts before it. */
const SQLITE_INSTANTS = ['2026-02-30T00:00:00.000Z', 'tomorrow', '', '0', '0000-00-00 00:00:00', '99999999999']

/** All of a table, by the kinds of its columns: what the store lets in with its checks turned off. */
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
      }[kind]
      return values.map((value) => ({ column, value }))
    })
}

/** Writes a value as somebody does who has turned off what the store refuses. */
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
  await connection.query(`UPDATE ${table} SET ${column} = ? WHERE ${where}`, [value])
  await connection.end()
}
