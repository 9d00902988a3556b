import type { Kysely } from 'kysely'
import { assertSound } from '../values/broken-row.ts'
import type { Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import type { Tables } from '../tables.ts'

/**
 * Returns a job's last window that starts at or before an instant. It contains the instant if it has not ended by then.
 *
 * @throws BrokenRow
 */
export async function lastWindow(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  instant: Date,
  except: readonly number[] = [],
) {
  const row = await db
    .selectFrom('piko_window')
    .select(['id', 'job_id', 'start_at', 'end_at', 'state'])
    .where('job_id', '=', exactId(jobId))
    .where('start_at', '<=', dialect.instant(instant))
    .orderBy('start_at', 'desc')
    .$if(except.length > 0, (query) => query.where('id', 'not in', except))
    .limit(1)
    .executeTakeFirst()
  return row && assertSound(dialect, 'piko_window', row)
}
