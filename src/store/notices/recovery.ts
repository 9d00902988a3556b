import type { Alert } from '../../notice/alert.ts'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'
import type { Kysely } from 'kysely'

/**
 * The maximum number of runs that one search on SQLite checks: the oldest and the newest later runs without a tick, and the newest runs
 * with a tick.
 */
const LOOKED = 1_000

/**
 * Whether a job has recovered. A job with windows has recovered when no window in the alert's span is failed, pending or waiting any more.
 * A job without windows has recovered when the failed run was replayed and succeeded, or when a later run succeeded.
 */
export async function hasRecovered({ db, dialect }: Database, { jobId, runId, window }: Alert): Promise<boolean> {
  if (window) {
    const open = await db
      .selectFrom('piko_window')
      .select('id')
      .where('job_id', '=', jobId)
      .where('state', 'in', ['failed', 'pending', 'waiting'])
      .where('start_at', '>=', dialect.instant(window.start))
      .where('start_at', '<', dialect.instant(window.end))
      .limit(1)
      .executeTakeFirst()
    return open === undefined
  }
  if (runId === undefined) return false
  const own = await db.selectFrom('piko_run').select('state').where('id', '=', runId).executeTakeFirst()
  if (own?.state === 'succeeded') return true
  if (dialect.name === 'mysql') {
    const later = await db
      .selectFrom('piko_run')
      .select('id')
      .where('job_id', '=', jobId)
      .where('state', '=', 'succeeded')
      .where('id', '>', runId)
      .limit(1)
      .executeTakeFirst()
    return later !== undefined
  }
  // SQLite has no index on succeeded runs. Runs without a tick are found in the index on ticks, which lists them by id.
  return (await hasLater(db, jobId, runId, 'asc')) || (await hasLater(db, jobId, runId, 'desc'))
}

async function hasLater(db: Kysely<Tables>, jobId: string, runId: number, order: 'asc' | 'desc'): Promise<boolean> {
  const untimed = db
    .selectFrom('piko_run')
    .select(['id', 'state'])
    .where('job_id', '=', jobId)
    .where('tick', 'is', null)
    .where('id', '>', runId)
    .orderBy('id', order)
    .limit(LOOKED)
  const newest = db
    .selectFrom('piko_run')
    .select(['id', 'state'])
    .where('job_id', '=', jobId)
    .where('tick', 'is not', null)
    .orderBy('tick', 'desc')
    .limit(LOOKED)
  for (const some of order === 'asc' ? [newest, untimed] : [untimed]) {
    const found = await db
      .selectFrom(some.as('some'))
      .select('id')
      .where('state', '=', 'succeeded')
      .where('id', '>', runId)
      .limit(1)
      .executeTakeFirst()
    if (found) return true
  }
  return false
}
