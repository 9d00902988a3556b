import { type RawBuilder, sql } from 'kysely'
import type { RunKind, RunState } from '../../run/run.ts'
import { OPEN_WINDOWS, oldestOpenWindows } from '../windows/window-lag.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { capped, type CappedCount } from '../statements/capped-count.ts'
import { type LastDay, lastDay } from './last-day.ts'
import { chunksOf } from '../statements/chunks.ts'
import { exactId } from '../values/exact-key.ts'
import { type Counts, countsOnMysql, failuresOnMysql, newestOnMysql } from './mysql-activities.ts'
import { mapSound } from '../values/map-sound.ts'

export interface OverviewRun {
  readonly id: number
  readonly state: Exclude<RunState, 'queued'>
  readonly kind: RunKind
  readonly runAt: Date
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
}

/** The current runs and windows of one job. */
export interface JobActivity {
  /** The newest runs that have begun or ended, newest first. */
  readonly lastRuns: readonly OverviewRun[]
  readonly queued: CappedCount
  readonly running: CappedCount
  /** The runs that were requested within the last 24 hours and have failed. */
  readonly failed: CappedCount
  /** The state of the ledger; null for a job without windows. */
  readonly ledger: LedgerActivity | null
}

export interface LedgerActivity {
  /** The instant up to which all planned windows are in the state `succeeded` or `skipped`. Undefined: none is planned yet. */
  readonly watermark: Date | undefined
  /** Milliseconds since the start of the oldest window whose state is neither `succeeded` nor `skipped`; 0 if there is none. */
  readonly lagMs: number
  /** The windows whose state is neither `succeeded` nor `skipped`. */
  readonly open: CappedCount
}

const MAX_COUNTED = 1_000
/** How many jobs one statement reads. SQLite accepts 500 parts in one `UNION`, and blocks the event loop while it reads. */
const JOBS_AT_ONCE = { mysql: 100, sqlite: 25 } as const

/**
 * Reads the activity of some jobs. It reads a limited number of index entries for each job, however many runs and windows there are.
 *
 * @param runs the maximum number of last runs of each job
 */
export async function jobActivities(
  database: Database,
  jobIds: readonly string[],
  runs: number,
): Promise<ReadonlyMap<string, JobActivity>> {
  const { dialect } = database
  const found = new Map<string, JobActivity>()
  // Without jobs, no code would await the search below or handle its error.
  if (jobIds.length === 0) return found
  const day = lastDay(database)
  for (const some of chunksOf(jobIds, JOBS_AT_ONCE[dialect.name])) {
    const [{ now: at }, counts, last, open] = await Promise.all([
      day,
      dialect.name === 'mysql' ? mysqlCounts(database, some, day) : countsOf(database, some, (await day).since),
      lastRuns(database, some, runs),
      oldestOpenWindows(database, some),
    ])
    const lags = new Map(open.map((row) => [row.jobId, row]))
    for (const jobId of some) {
      const count = (what: string): CappedCount => capped(counts.get(`${jobId} ${what}`) ?? 0, MAX_COUNTED)
      const lag = lags.get(jobId)
      found.set(jobId, {
        lastRuns: last.get(jobId) ?? [],
        ...{ queued: count('queued'), running: count('running'), failed: count('failed') },
        ledger: lag
          ? {
              watermark: lag.oldestOpen ?? lag.cursor,
              lagMs: lag.oldestOpen ? Math.max(0, at.getTime() - lag.oldestOpen.getTime()) : 0,
              open: count('open'),
            }
          : null,
      })
    }
  }
  return found
}

async function mysqlCounts(database: Database, jobIds: readonly string[], day: Promise<LastDay>): Promise<Counts> {
  const failures = day.then((last) => failuresOnMysql(database, jobIds, last, MAX_COUNTED))
  const counts = await Promise.all([countsOnMysql(database, jobIds, MAX_COUNTED), failures])
  return new Map(counts.flatMap((some) => [...some]))
}

/**
 * Returns the numbers of runs and open windows by job, each counted up to a limit. SQLite counts limited subqueries without storing their
 * rows.
 */
async function countsOf({ db }: Database, jobIds: readonly string[], since: number): Promise<Counts> {
  const most = sql.lit(MAX_COUNTED + 1)
  const counted = (jobId: string, what: string, rows: RawBuilder<unknown>) =>
    sql`SELECT ${jobId} AS job, ${sql.lit(what)} AS what, count(*) AS found FROM (${rows} LIMIT ${most}) AS some`
  // Literals are used, because SQLite does not use the index on a state for a bound value.
  const ofRuns = (jobId: string, state: string, more = sql``) =>
    counted(
      jobId,
      state,
      sql`SELECT id FROM piko_run WHERE job_id = ${exactId(jobId)} AND state = ${sql.lit(state)}${more}`,
    )
  const parts = jobIds.flatMap((jobId) => [
    ofRuns(jobId, 'queued'),
    ofRuns(jobId, 'running'),
    ofRuns(jobId, 'failed', sql` AND id >= ${sql.lit(since)}`),
    counted(
      jobId,
      'open',
      sql`SELECT id FROM piko_window WHERE job_id = ${exactId(jobId)} AND state IN (${sql.join(OPEN_WINDOWS.map((state) => sql.lit(state)))})`,
    ),
  ])
  const { rows } = await sql<{
    job: string
    what: string
    found: number
  }>`${sql.join(parts, sql` UNION ALL `)}`.execute(db)
  return new Map(rows.map(({ job, what, found }) => [`${job} ${what}`, Number(found)]))
}

interface LastRow {
  readonly id: number
  readonly job_id: string
  readonly state: OverviewRun['state']
  readonly kind: RunKind
  readonly run_at: Date | string
  readonly started_at: Date | string | null
  readonly finished_at: Date | string | null
}

async function lastRuns(
  database: Database,
  jobIds: readonly string[],
  runs: number,
): Promise<ReadonlyMap<string, readonly OverviewRun[]>> {
  const { db, dialect } = database
  const newest = await (dialect.name === 'mysql' ? newestOnMysql : newestOnSqlite)(database, jobIds, runs)
  if (!newest) return new Map()
  const { rows } = await sql<LastRow>`
    SELECT id, job_id, ${dialect.checkedState} AS state, kind, run_at, started_at, finished_at
    FROM piko_run${dialect.forceIndex('run_job')} WHERE ${newest}
  `.execute(db)
  const read = (row: LastRow) => ({
    jobId: row.job_id,
    run: {
      ...{ id: row.id, state: row.state, kind: row.kind, runAt: dialect.date(row.run_at) },
      ...{ startedAt: optionalDate(row.started_at, dialect), finishedAt: optionalDate(row.finished_at, dialect) },
    },
  })
  // A run may have been replayed since its id was read, so queued runs are left out.
  const begun = rows.filter(({ state }) => (state as RunState) !== 'queued').sort((one, other) => other.id - one.id)
  const some = [...Map.groupBy(begun, (row) => row.job_id).values()].flatMap((own) => own.slice(0, runs))
  const shown = await mapSound(dialect, 'piko_run', some, read, database.broken.report)
  return new Map(
    [...Map.groupBy(shown, ({ jobId }) => jobId)].map(([jobId, own]) => [jobId, own.map(({ run }) => run)]),
  )
}

async function newestOnSqlite(
  { db, dialect }: Database,
  jobIds: readonly string[],
  runs: number,
): Promise<RawBuilder<unknown> | undefined> {
  const parts = jobIds.flatMap((jobId) => newestByTick(jobId, runs))
  const found = await sql<{ id: number; job: string }>`${sql.join(parts, sql` UNION ALL `)}`.execute(db)
  const ids = [...Map.groupBy(found.rows, ({ job }) => job).values()].flatMap((own) =>
    [...new Set(own.map(({ id }) => id))].sort((one, other) => other - one).slice(0, runs),
  )
  return ids.length === 0 ? undefined : dialect.isAmong(ids)
}

const LOOKED_THROUGH = 1_000

/**
 * Selects the newest runs of a job on SQLite, which has no index on the ended runs of a job. Runs with a tick are in the index (job_id,
 * tick). Runs without a tick are there too, ordered by id. Many queued runs may come first in this index, so one part searches only runs
 * that are older than all queued ones.
 */
function newestByTick(jobId: string, runs: number): RawBuilder<unknown>[] {
  const id = exactId(jobId)
  const most = sql.lit(runs)
  const part = (from: RawBuilder<unknown>) => sql`SELECT * FROM (SELECT id, ${jobId} AS job FROM ${from} LIMIT ${most})`
  const newest = (condition: RawBuilder<unknown>, order: RawBuilder<unknown>) =>
    part(
      sql`(SELECT id, state FROM piko_run INDEXED BY run_tick WHERE job_id = ${id} AND ${condition} ORDER BY ${order} LIMIT ${sql.lit(LOOKED_THROUGH)}) WHERE state <> 'queued'`,
    )
  const firstQueued = sql`(SELECT min(id) FROM piko_run WHERE job_id = ${id} AND state = 'queued')`
  return [
    newest(sql`tick IS NOT NULL`, sql`tick DESC`),
    newest(sql`tick IS NULL`, sql`id DESC`),
    part(
      sql`piko_run INDEXED BY run_tick WHERE job_id = ${id} AND tick IS NULL AND id < ${firstQueued} AND +state <> 'queued' ORDER BY id DESC`,
    ),
    part(sql`piko_run WHERE job_id = ${id} AND state = 'running' ORDER BY id DESC`),
    part(sql`piko_run WHERE job_id = ${id} AND state = 'failed' ORDER BY id DESC`),
  ]
}
