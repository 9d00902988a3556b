import { type InsertObject, type Kysely, sql } from 'kysely'
import { type Dialect } from './dialect.ts'
import { type Tables } from './tables.ts'

/**
 * Inserts runs in one statement and returns their ids in the order of the rows.
 *
 * MySQL has no RETURNING (MariaDB has): it reports the first id of the statement. InnoDB reserves the ids of a simple
 * multi-row INSERT at once, in every `innodb_autoinc_lock_mode`, so the rest follow at `@@auto_increment_increment`.
 */
export async function insertRuns(
  db: Kysely<Tables>,
  dialect: Dialect,
  rows: readonly InsertObject<Tables, 'piko_run'>[],
): Promise<number[]> {
  if (rows.length === 0) return []
  const insert = db.insertInto('piko_run').values(rows)
  if (dialect.name === 'sqlite') return (await insert.returning('id').execute()).map((row) => row.id)
  const first = Number((await insert.executeTakeFirstOrThrow()).insertId)
  const step = rows.length > 1 ? await autoIncrementStep(db) : 1
  return rows.map((_, index) => first + index * step)
}

async function autoIncrementStep(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ step: number }>`SELECT @@auto_increment_increment AS step`.execute(db)
  return Number(rows[0]?.step ?? 1)
}
