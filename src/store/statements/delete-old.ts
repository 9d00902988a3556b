import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'

/** A table whose rows are deleted by age. */
export interface AgingTable {
  readonly table: 'piko_audit' | 'piko_dead_row' | 'piko_message' | 'piko_session'
  readonly key: 'id' | 'digest'
  /** The indexed column with the time from which the age counts. */
  readonly since: 'began_at' | 'died_at' | 'created_at' | 'expires_at'
  /** The maximum number of rows that one statement deletes, so that it locks them only for a moment. */
  readonly atOnce: number
}

/** Deletes some of the rows that are at least this old, the oldest first. @returns whether there may be more */
export async function deleteOld(
  { db, dialect, retry }: Database,
  { table, key, since, atOnce }: AgingTable,
  olderThanMs: number,
): Promise<boolean> {
  const { rows } = await sql<{ readonly found: number | string }>`
    SELECT ${sql.ref(key)} AS found FROM ${sql.table(table)} WHERE ${sql.ref(since)} <= ${dialect.nowPlus(-olderThanMs)}
    ORDER BY ${sql.ref(since)} LIMIT ${sql.lit(atOnce)}`.execute(db)
  if (rows.length === 0) return false
  const keys = sql.join(rows.map(({ found }) => found))
  await retry(() => sql`DELETE FROM ${sql.table(table)} WHERE ${sql.ref(key)} IN (${keys})`.execute(db))
  return rows.length === atOnce
}
