import { type Kysely, sql, type SqlBool } from 'kysely'
import { BrokenRow } from './broken-row.ts'
import type { Dialect } from '../connection/dialect.ts'
import { exactId } from './exact-key.ts'
import { faultsOf } from './row-faults.ts'
import type { Tables } from '../tables.ts'

/**
 * Reads the smallest or greatest instant of a job's windows. If a person has written other text into the column, that text may sort first
 * or last.
 *
 * @throws BrokenRow that names the window
 */
export async function readExtreme(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  column: 'start_at' | 'end_at',
  value: Date | string | null,
): Promise<Date | undefined> {
  if (value === null) return undefined
  try {
    return dialect.date(value)
  } catch (thrown) {
    const row = await db
      .selectFrom('piko_window')
      .select(['id', 'job_id', 'start_at', 'end_at', 'state'])
      .where('job_id', '=', exactId(jobId))
      // MySQL accepts a date of zeros, which can't be bound.
      .where(
        dialect.name === 'mysql'
          ? sql<SqlBool>`${sql.ref(column)} < '1000-01-01'`
          : sql<SqlBool>`${sql.ref(column)} = ${value}`,
      )
      .limit(1)
      .executeTakeFirst()
    // The row was corrected or deleted in the meantime.
    if (!row) throw thrown
    throw new BrokenRow('piko_window', row, faultsOf(dialect, 'piko_window', row), thrown)
  }
}
