import { type Kysely } from 'kysely'
import { type Window } from '../time/window.ts'
import { type Dialect } from './dialect.ts'
import { lastWindow } from './last-window.ts'
import { type Tables, type WindowState } from './tables.ts'

const NOT_COVERING: readonly WindowState[] = ['pending', 'failed', 'cancelled', 'skipped', 'waiting', 'stale']

/**
 * The first instant of an interval that no succeeded window of a job covers; undefined when all of it is covered. The windows may be
 * longer or shorter than the interval, and need not begin or end with it.
 *
 * Windows of a job never overlap, so the interval is covered when the window around its start has succeeded, no other that starts
 * within it has not, and each of these is followed by one.
 */
export async function firstHole(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  { start, end }: Window,
): Promise<Date | undefined> {
  const around = await lastWindow(db, dialect, jobId, start)
  if (!around || dialect.date(around.end_at) <= start) return start
  if (around.state !== 'succeeded') return dialect.date(around.start_at)
  // Each state by the index (job_id, state, start_at).
  const bad = await db
    .selectFrom('piko_window')
    .select((eb) => ['state', eb.fn.min('start_at').as('start')])
    .where('job_id', '=', jobId)
    .where('state', 'in', NOT_COVERING)
    .where('start_at', '>', dialect.instant(start))
    .where('start_at', '<', dialect.instant(end))
    .groupBy('state')
    .execute()
  const firstBad = bad.map((row) => dialect.date(row.start)).toSorted((a, b) => a.getTime() - b.getTime())[0]
  const missing = await db
    .selectFrom('piko_window as one')
    .select('one.end_at')
    .where('one.job_id', '=', jobId)
    .where('one.start_at', '>=', around.start_at)
    .where('one.start_at', '<', dialect.instant(end))
    .where('one.end_at', '<', dialect.instant(end))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('piko_window as next')
            .select('next.id')
            .where('next.job_id', '=', jobId)
            .whereRef('next.start_at', '=', 'one.end_at'),
        ),
      ),
    )
    .orderBy('one.start_at')
    .limit(1)
    .executeTakeFirst()
  const firstMissing = missing && dialect.date(missing.end_at)
  if (!firstBad || !firstMissing) return firstBad ?? firstMissing
  return firstBad < firstMissing ? firstBad : firstMissing
}
