import { type Expression, type RawBuilder, sql } from 'kysely'
import type { Overdue } from '../../notice/lateness.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'

/** If a window is in one of these states, its data is missing. A window that was cancelled or skipped is not expected to have data. */
const OPEN = ['pending', 'waiting', 'failed'] as const
const MAX_COUNTED = 1_000

/**
 * Lists the jobs with a deadline, and what is late in each of them. A job with windows is late if one of its windows is past its deadline,
 * and is pending, waiting, failed or not planned yet. Any other job is late if its last tick whose deadline has passed has no run, or has
 * one that is queued, running or failed. Paused jobs are never late.
 *
 * One statement covers all jobs and reads only a few index entries for each. Each job with late windows needs one more statement.
 */
export async function overdueJobs(database: Database): Promise<Overdue[]> {
  const { db, dialect } = database
  const limit = deadlineAgo(dialect, sql.ref('piko_job.deadline_ms'))
  const end = (state: (typeof OPEN)[number], order: 'asc' | 'desc'): RawBuilder<Date | string | null> => {
    const before = order === 'asc' ? sql`` : sql` AND w.end_at <= ${limit}`
    const column = sql.raw(order === 'asc' ? 'w.start_at' : 'w.end_at')
    return sql`(SELECT ${column} FROM piko_window w WHERE w.job_id = piko_job.id AND w.state = ${sql.lit(state)}
      AND w.end_at <= ${limit}${before} ORDER BY w.start_at ${sql.raw(order)} LIMIT 1)`
  }
  const rows = await db
    .selectFrom('piko_job')
    .select(['id', 'windows', 'is_paused', 'next_tick', 'window_cursor'])
    .select(limit.as('limit_at'))
    .select(OPEN.map((state) => end(state, 'asc').as(`${state}_start`)))
    .select(OPEN.map((state) => end(state, 'desc').as(`${state}_end`)))
    .select(
      sql<string | null>`(SELECT CASE WHEN r.state IN ('queued', 'running', 'failed') THEN r.tick END FROM piko_run r
        WHERE r.job_id = piko_job.id AND r.tick <= ${limit} ORDER BY r.tick DESC LIMIT 1)`.as('late_tick'),
    )
    .where('deadline_ms', 'is not', null)
    .execute()
  const jobs: Overdue[] = []
  for (const row of rows) {
    const dates = (names: readonly string[]): Date[] =>
      names.flatMap((name) => {
        const value = row[name as keyof typeof row] as Date | string | null
        return value === null ? [] : [dialect.date(value)]
      })
    const limitAt = dialect.date(row.limit_at)
    const [unplanned] = dates(['next_tick']).filter((tick) => tick <= limitAt)
    const notRun = unplanned ? [unplanned] : []
    if (Number(row.is_paused) !== 0) jobs.push({ jobId: row.id, late: undefined })
    else if (row.windows === null) {
      const ticks = [...dates(['late_tick']), ...notRun]
      jobs.push({ jobId: row.id, late: ticks.length > 0 ? { tick: max(ticks), count: 1 } : undefined })
    } else {
      const ends = dates(OPEN.map((state) => `${state}_end`))
      const count = notRun.length + (ends.length > 0 ? await lateWindows(database, row.id, limitAt) : 0)
      // A window that is not planned yet begins where the last planned one ends.
      const starts = [...dates(OPEN.map((state) => `${state}_start`)), ...(unplanned ? dates(['window_cursor']) : [])]
      const window = starts.length > 0 ? { start: min(starts), end: max([...ends, ...notRun]) } : undefined
      jobs.push({ jobId: row.id, late: count > 0 ? { ...(window && { window }), count } : undefined })
    }
  }
  return jobs
}

async function lateWindows({ db, dialect }: Database, jobId: string, limitAt: Date): Promise<number> {
  const some = db
    .selectFrom('piko_window')
    .select('id')
    .where('job_id', '=', jobId)
    .where('state', 'in', OPEN)
    .where('end_at', '<=', dialect.instant(limitAt))
    .limit(MAX_COUNTED)
  const { count } = await db
    .selectFrom(some.as('some'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** Returns the current time minus the milliseconds in a column. */
function deadlineAgo(dialect: Dialect, column: Expression<unknown>): RawBuilder<Date> {
  return dialect.name === 'mysql'
    ? sql<Date>`(${dialect.now()} - INTERVAL (${column} * 1000) MICROSECOND)`
    : sql<Date>`strftime('%Y-%m-%dT%H:%M:%fZ', ${dialect.now()}, printf('-%.3f seconds', ${column} / 1000.0))`
}

function min(dates: readonly Date[]): Date {
  return new Date(Math.min(...dates.map((date) => date.getTime())))
}

function max(dates: readonly Date[]): Date {
  return new Date(Math.max(...dates.map((date) => date.getTime())))
}
