import type { Database } from '../../src/store/connection/database.ts'

/** Creates the empty table `effect`, into which handlers write their runs' ids. */
export async function emptyEffects({ sql }: Database): Promise<void> {
  await sql.exec('CREATE TABLE IF NOT EXISTS effect (run_id BIGINT NOT NULL)')
  await sql.exec('DELETE FROM effect')
}

export function effectsOf({ sql }: Database): Promise<unknown[]> {
  return sql.query('SELECT run_id FROM effect ORDER BY run_id')
}
