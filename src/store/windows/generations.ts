import type { Kysely, Transaction } from 'kysely'
import type { Window } from '../../time/window.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

/** A period with one schedule: from `start` until the next generation begins, the ticks of `schedule` bound a job's windows. */
export interface StoredGeneration {
  readonly start: Date
  /** The schedule as JSON of `ScheduleSpec`. */
  readonly schedule: string
}

/**
 * Returns the generations of jobs with windows, oldest first.
 *
 * @throws BrokenRow if one can't be read, because the bounds of windows would then be unknown
 */
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
      ofJob.map((row) => {
        const { start_at, schedule } = assertSound(dialect, 'piko_generation', row)
        return { start: dialect.date(start_at), schedule }
      }),
    ]),
  )
}

/**
 * Starts a new generation: from then on, another schedule bounds the job's windows. Earlier times keep their schedules, even where no
 * window has been planned yet. If a job has no window yet, the new schedule applies to its whole timeline. The caller must hold the lock of
 * the job's row.
 *
 * @param cursor end of the last planned window; the new generation begins there, or at the end of the last window that a backfill has
 * planned beyond it
 */
export async function addGeneration(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  cursor: Date,
  schedule: string,
): Promise<void> {
  const known = (await generationsOf(trx, dialect, [jobId])).get(jobId) ?? []
  if (known.at(-1)?.schedule === schedule) return
  const first = await endWindow(trx, dialect, jobId, 'asc')
  const last = await endWindow(trx, dialect, jobId, 'desc')
  const start = last && last.end > cursor ? last.end : cursor
  const kept = first ? keptBefore(known, first.start, start) : []
  const next = { start, schedule }
  const generations = kept.at(-1)?.schedule === schedule ? kept : [...kept, next]
  await trx.deleteFrom('piko_generation').where('job_id', '=', jobId).execute()
  await trx
    .insertInto('piko_generation')
    .values(
      generations.map((generation) => ({
        job_id: jobId,
        start_at: dialect.instant(generation.start),
        schedule: generation.schedule,
        created_at: dialect.now(),
      })),
    )
    .execute()
}

/**
 * Returns the generations that began before a change. If there are none, the oldest one remains and now begins with the first window,
 * because a backfill may have planned windows before the change.
 *
 * @param first start of the first window
 */
function keptBefore(known: readonly StoredGeneration[], first: Date, change: Date): StoredGeneration[] {
  const kept = known.filter(({ start }) => start < change)
  const [oldest] = known
  return kept.length > 0 || !oldest ? kept : [{ start: first, schedule: oldest.schedule }]
}

async function endWindow(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  order: 'asc' | 'desc',
): Promise<Window | undefined> {
  const row = await trx
    .selectFrom('piko_window')
    .select(['id', 'job_id', 'start_at', 'end_at'])
    .where('job_id', '=', jobId)
    .orderBy('start_at', order)
    .limit(1)
    .executeTakeFirst()
  if (row) assertSound(dialect, 'piko_window', row)
  return row && { start: dialect.date(row.start_at), end: dialect.date(row.end_at) }
}
