import { sql } from 'kysely'
import type { Database } from '../../src/store/connection/database.ts'

/** The database's error for a row that such a trigger refuses. */
export const REFUSAL = 'refused by a trigger'

/** Makes the database refuse rows of a table that meet a condition, such as `NEW.output LIKE '%poison%'`. */
export async function refuseRows(
  { db, dialect }: Database,
  table: string,
  on: 'INSERT' | 'UPDATE' | 'DELETE',
  condition: string,
): Promise<() => Promise<void>> {
  const name = `refuse_${table}_${on.toLowerCase()}`
  const text =
    dialect.name === 'sqlite'
      ? `CREATE TRIGGER ${name} BEFORE ${on} ON ${table} WHEN ${condition} BEGIN SELECT RAISE(ABORT, '${REFUSAL}'); END`
      : `CREATE TRIGGER ${name} BEFORE ${on} ON ${table} FOR EACH ROW
           IF ${condition} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${REFUSAL}'; END IF`
  await sql.raw(text).execute(db)
  return async () => void (await sql.raw(`DROP TRIGGER ${name}`).execute(db))
}
