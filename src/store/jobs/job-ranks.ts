import { type RawBuilder, sql } from 'kysely'
import { safely } from '../../errors-read.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { lastDay } from './last-day.ts'
import { OPEN_WINDOWS } from '../windows/window-lag.ts'

/** How soon a job needs attention, and whether a filter selects it. */
export interface JobRank {
  readonly id: string
  readonly isPaused: boolean
  readonly hasWindows: boolean
  readonly isOverridden: boolean
  /**
   * Since when the job is late, in milliseconds since the epoch: its overdue tick or `oldestOpen`, whichever is earlier. Infinity: it is
   * not late.
   */
  readonly lateSince: number
  /**
   * The start of the job's oldest window whose state is neither `succeeded` nor `skipped`, in milliseconds since the epoch. Infinity: there
   * is none.
   */
  readonly oldestOpen: number
  /** Whether a run that was requested within the last 24 hours has failed. */
  readonly hasFailed: boolean
}

interface RankRow {
  readonly id: string
  readonly is_paused: number
  readonly has_windows: number
  readonly is_overridden: number
  readonly next_tick: Date | string | null
  readonly oldest_open: Date | string | null
  readonly has_failed: number
}

/** How many jobs one statement reads. It reads several index entries for each job, and must not block the event loop for long. */
const JOBS_AT_ONCE = { mysql: 2_000, sqlite: 500 } as const
/** How long a ranking is used, as a multiple of the time that it took. So rankings take at most a few percent of the database's time. */
const USES_PER_COST = 20
/** The maximum time for which a ranking is used, in case it took long because the database was busy. */
const MAX_USE_MS = 10_000

/**
 * Returns the condition that a job's schedule equals the one in code. Compares bytes, because MySQL's columns ignore case. Replaces null,
 * because a comparison with null would be neither true nor false.
 */
export function sameSchedule({ name }: Dialect): RawBuilder<boolean> {
  const [own, code] = [sql`coalesce(schedule, '')`, sql`coalesce(code_schedule, '')`]
  return name === 'mysql' ? sql`(CAST(${own} AS BINARY) = CAST(${code} AS BINARY))` : sql`(${own} = ${code})`
}

/** Orders jobs: first late jobs, beginning with the one that has been late longest; then jobs with failures; then the others by id. */
export function byAttention(one: JobRank, other: JobRank): number {
  if (one.lateSince !== other.lateSince) return one.lateSince < other.lateSince ? -1 : 1
  if (one.hasFailed !== other.hasFailed) return one.hasFailed ? -1 : 1
  return one.id < other.id ? -1 : 1
}

/** The ranks of all jobs, in order. A recent result is used again. The longer it took to read, the longer it is used. */
export class JobRanks {
  static readonly #all = new WeakMap<Database, JobRanks>()
  readonly #database: Database
  #ranks: Promise<readonly JobRank[]> | undefined
  #usableUntil = 0

  private constructor(database: Database) {
    this.#database = database
  }

  /** Returns the ranks of the jobs of a database. All their readers share one result. */
  static of(database: Database): JobRanks {
    const ranks = JobRanks.#all.get(database) ?? new JobRanks(database)
    JobRanks.#all.set(database, ranks)
    return ranks
  }

  get(): Promise<readonly JobRank[]> {
    if (this.#ranks === undefined || performance.now() > this.#usableUntil) {
      const began = performance.now()
      this.#usableUntil = Infinity
      this.#ranks = ranksOf(this.#database).finally(() => {
        const now = performance.now()
        this.#usableUntil = now + Math.min((now - began) * USES_PER_COST, MAX_USE_MS)
      })
      this.#ranks.catch(() => (this.#ranks = undefined))
    }
    return this.#ranks
  }
}

async function ranksOf(database: Database): Promise<readonly JobRank[]> {
  const { dialect } = database
  const { now: at, since } = await lastDay(database)
  const rows: RankRow[] = []
  for (let after = ''; ;) {
    const part = await rankRows(database, after, since)
    rows.push(...part)
    const last = part.at(-1)
    if (!last || part.length < JOBS_AT_ONCE[dialect.name]) break
    after = last.id
  }
  const msOf = (value: Date | string | null): number =>
    value === null ? Infinity : safely(() => dialect.date(value).getTime(), Infinity)
  return rows
    .map((row): JobRank => {
      const tick = Number(row.is_paused) === 0 ? msOf(row.next_tick) : Infinity
      const oldestOpen = msOf(row.oldest_open)
      return {
        id: row.id,
        isPaused: Number(row.is_paused) !== 0,
        hasWindows: Number(row.has_windows) === 1,
        isOverridden: Number(row.is_overridden) === 1,
        lateSince: Math.min(tick < at.getTime() ? tick : Infinity, oldestOpen),
        oldestOpen,
        hasFailed: Number(row.has_failed) === 1,
      }
    })
    .sort(byAttention)
}

/**
 * Reads the ranks of the jobs after an id. For each job, it reads one index entry for each state of an open window, and one for failures.
 */
async function rankRows({ db, dialect }: Database, after: string, since: number): Promise<readonly RankRow[]> {
  const isMysql = dialect.name === 'mysql'
  const never = isMysql ? sql`TIMESTAMP '9999-12-31 00:00:00'` : sql`'9999'`
  const oldest = (state: string): RawBuilder<unknown> =>
    sql`coalesce((SELECT w.start_at FROM piko_window w WHERE w.job_id = j.id AND w.state = ${sql.lit(state)} ORDER BY w.start_at LIMIT 1), ${never})`
  const least = sql`${sql.raw(isMysql ? 'LEAST' : 'min')}(${sql.join(OPEN_WINDOWS.map(oldest))})`
  // With a condition on the ids, MySQL would read all failed runs of a job. So only the newest id is read and compared.
  const hasFailed = isMysql
    ? sql`coalesce((SELECT r.id FROM piko_run r FORCE INDEX (run_job) WHERE r.job_id = j.id AND r.state = 'failed' ORDER BY r.id DESC LIMIT 1), -1) >= ${sql.lit(since)}`
    : sql`EXISTS (SELECT 1 FROM piko_run r WHERE r.job_id = j.id AND r.state = 'failed' AND r.id >= ${sql.lit(since)})`
  const { rows } = await sql<RankRow>`
    SELECT j.id, j.is_paused, j.windows IS NOT NULL AS has_windows, NOT ${sameSchedule(dialect)} AS is_overridden, j.next_tick,
      CASE WHEN j.windows IS NULL THEN NULL ELSE nullif(${least}, ${never}) END AS oldest_open,
      ${hasFailed} AS has_failed
    FROM piko_job j WHERE j.id > ${after} ORDER BY j.id LIMIT ${sql.lit(JOBS_AT_ONCE[dialect.name])}
  `.execute(db)
  return rows
}
