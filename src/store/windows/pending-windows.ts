import { sql, type Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

/**
 * On SQLite, only this many of a job's newest windows in each state are read. The planner keeps at most 1,000 windows of a job in these
 * states. But if an upstream window runs again, a hundred thousand windows may wait, and counting them would take too long.
 */
const MAX_COUNTED = 5_000

/**
 * Counts the windows in the states `pending` and `waiting`, by job. Leaves out windows of backfills, because they must not delay the
 * planning of ordinary windows.
 */
export async function pendingWindows(
  trx: Transaction<Tables>,
  dialect: Pick<Dialect, 'name'>,
  jobIds: readonly string[],
): Promise<Map<string, number>> {
  if (jobIds.length === 0) return new Map()
  const rows = await (dialect.name === 'sqlite' ? newest(trx, jobIds) : all(trx, jobIds))
  return new Map(rows.map((row) => [row.job_id, Number(row.count)]))
}

type Counts = Promise<readonly { readonly job_id: string; readonly count: number }[]>

/** Counts all windows. Used on a server, because its statements do not block the event loop. */
function all(trx: Transaction<Tables>, jobIds: readonly string[]): Counts {
  return trx
    .selectFrom('piko_window')
    .select((eb) => ['job_id', eb.fn.countAll<number>().as('count')])
    .where('job_id', 'in', jobIds)
    .where('state', 'in', ['pending', 'waiting'])
    .where('backfill_id', 'is', null)
    .groupBy('job_id')
    .execute()
}

function newest(trx: Transaction<Tables>, jobIds: readonly string[]): Counts {
  const inState = (state: 'pending' | 'waiting') => sql<number>`(
    SELECT count(*) FROM (
      SELECT backfill_id FROM piko_window
      WHERE piko_window.job_id = piko_job.id AND state = ${sql.lit(state)}
      ORDER BY start_at DESC LIMIT ${sql.lit(MAX_COUNTED)}
    ) AS newest WHERE backfill_id IS NULL
  )`
  return trx
    .selectFrom('piko_job')
    .select('id as job_id')
    .select(sql<number>`${inState('pending')} + ${inState('waiting')}`.as('count'))
    .where('id', 'in', jobIds)
    .execute()
}
