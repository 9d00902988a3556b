import { type Kysely, type Transaction } from 'kysely'
import { type Dialect } from './dialect.ts'
import { type Tables } from './tables.ts'

/** From `start` on, until the next one begins, a job's windows were bounded by the ticks of `schedule`. */
export interface StoredGeneration {
  readonly start: Date
  /** `ScheduleSpec` as JSON. */
  readonly schedule: string
}

/** The generations of jobs with windows, oldest first. */
export async function generationsOf(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobIds: readonly string[],
): Promise<Map<string, StoredGeneration[]>> {
  if (jobIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('piko_generation')
    .select(['job_id', 'start_at', 'schedule'])
    .where('job_id', 'in', jobIds)
    .orderBy('job_id')
    .orderBy('start_at')
    .execute()
  const byJob = Map.groupBy(rows, (row) => row.job_id)
  return new Map(
    [...byJob].map(([jobId, ofJob]) => [
      jobId,
      ofJob.map((row) => ({ start: dialect.date(row.start_at), schedule: row.schedule })),
    ]),
  )
}

/**
 * From here on windows are bounded by another schedule. The caller holds the lock of the job's row.
 *
 * @param cursor end of the last planned window: the new generation begins there, or behind what a backfill has planned beyond it
 */
export async function addGeneration(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  cursor: Date,
  schedule: string,
): Promise<void> {
  const last = (await generationsOf(trx, dialect, [jobId])).get(jobId)?.at(-1)
  if (last?.schedule === schedule) return
  const start = dialect.instant(await endOfWindows(trx, dialect, jobId, cursor))
  const row = { job_id: jobId, start_at: start, schedule, created_at: dialect.now() }
  // No window was planned since the last change.
  await trx.deleteFrom('piko_generation').where('job_id', '=', jobId).where('start_at', '=', start).execute()
  await trx.insertInto('piko_generation').values(row).execute()
}

/** The first generation of a job whose ledger begins. */
export async function beginGenerations(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  start: Date,
  schedule: string,
): Promise<void> {
  await trx.deleteFrom('piko_generation').where('job_id', '=', jobId).execute()
  await addGeneration(trx, dialect, jobId, start, schedule)
}

async function endOfWindows(trx: Transaction<Tables>, dialect: Dialect, jobId: string, cursor: Date): Promise<Date> {
  const last = await trx
    .selectFrom('piko_window')
    .select('end_at')
    .where('job_id', '=', jobId)
    .orderBy('start_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  const end = last && dialect.date(last.end_at)
  return end && end > cursor ? end : cursor
}
