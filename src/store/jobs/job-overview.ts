import { type RawBuilder, sql } from 'kysely'
import type { RunKind, RunState } from '../../run/run.ts'
import { OPEN_WINDOWS, oldestOpenWindows } from '../windows/window-lag.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { capped, type CappedCount } from '../statements/capped-count.ts'
import { endOfRuns, firstIdSince } from '../runs/id-ranges.ts'
import { chunksOf } from '../statements/chunks.ts'
import { exactId } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'

/** A run as its job's overview shows it. */
export interface OverviewRun {
  readonly id: number
  readonly state: Exclude<RunState, 'queued'>
  readonly kind: RunKind
  readonly runAt: Date
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
}

/** The current state of one job's runs and windows. */
export interface JobActivity {
  /** The newest runs that have begun or ended, newest first. */
  readonly lastRuns: readonly OverviewRun[]
  readonly queued: CappedCount
  readonly running: CappedCount
  /** The failed runs that were requested within the last 24 hours. */
  readonly failed: CappedCount
  /** The state of the ledger; null for a job without windows. */
  readonly ledger: LedgerActivity | null
}

export interface LedgerActivity {
  /** The instant up to which all planned windows have succeeded or were skipped. Undefined: none is planned yet. */
  readonly watermark: Date | undefined
  /** The time from the start of the oldest window that has not succeeded until now, in milliseconds; 0 if all have. */
  readonly lagMs: number
  /** The windows that have not succeeded and were not skipped. */
  readonly open: CappedCount
}

const DAY_MS = 86_400_000
const MAX_COUNTED = 1_000
/** SQLite accepts 500 parts in one `UNION`, and blocks the event loop while it reads. */
const JOBS_AT_ONCE = { mysql: 50, sqlite: 25 } as const
const ENDED = ['succeeded', 'failed', 'cancelled', 'skipped'] as const

/**
 * The activity of some jobs. Reads a limited number of entries of indexes for each job, whatever the number of its runs and windows.
 *
 * @param runs the maximum number of last runs of each job
 */
export async function jobActivities(
  database: Database,
  jobIds: readonly string[],
  runs: number,
): Promise<ReadonlyMap<string, JobActivity>> {
  const { db, dialect } = database
  const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
  const at = dialect.date(now)
  const first = await endOfRuns(database, 'asc')
  const end = await endOfRuns(database, 'desc')
  const dayAgo = new Date(at.getTime() - DAY_MS)
  const since = first === undefined || end === undefined ? 0 : await firstIdSince(database, { first, end }, dayAgo)
  const found = new Map<string, JobActivity>()
  for (const some of chunksOf(jobIds, JOBS_AT_ONCE[dialect.name])) {
    const [counts, last, open] = await Promise.all([
      countsOf(database, some, since),
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

/** The numbers of runs and open windows by job, each counted up to a limit. */
async function countsOf(
  { db }: Database,
  jobIds: readonly string[],
  since: number,
): Promise<ReadonlyMap<string, number>> {
  const most = sql.lit(MAX_COUNTED + 1)
  const counted = (jobId: string, what: string, rows: RawBuilder<unknown>) =>
    sql`SELECT ${jobId} AS job, ${sql.lit(what)} AS what, count(*) AS found FROM (${rows} LIMIT ${most}) AS some`
  // These are literals, because SQLite does not use the index of a state for a bound value.
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
  const parts = jobIds.flatMap((jobId) => (dialect.name === 'mysql' ? newestByState : newestByTick)(jobId, runs))
  const found = await sql<{ id: number; job: string }>`${sql.join(parts, sql` UNION ALL `)}`.execute(db)
  const ids = [...Map.groupBy(found.rows, ({ job }) => job).values()].flatMap((own) =>
    [...new Set(own.map(({ id }) => id))].sort((one, other) => other - one).slice(0, runs),
  )
  if (ids.length === 0) return new Map()
  const { rows } = await sql<LastRow>`
    SELECT id, job_id, ${dialect.checkedState} AS state, kind, run_at, started_at, finished_at FROM piko_run WHERE ${dialect.isAmong(ids)}
  `.execute(db)
  const read = (row: LastRow) => ({
    jobId: row.job_id,
    run: {
      ...{ id: row.id, state: row.state, kind: row.kind, runAt: dialect.date(row.run_at) },
      ...{ startedAt: optionalDate(row.started_at, dialect), finishedAt: optionalDate(row.finished_at, dialect) },
    },
  })
  // A run may have been replayed since its id was read.
  const begun = rows.filter(({ state }) => (state as RunState) !== 'queued').sort((one, other) => other.id - one.id)
  const shown = await mapSound(dialect, 'piko_run', begun, read, database.broken.report)
  return new Map(
    [...Map.groupBy(shown, ({ jobId }) => jobId)].map(([jobId, own]) => [jobId, own.map(({ run }) => run)]),
  )
}

/** Uses the index (job_id, state, id). */
function newestByState(jobId: string, runs: number): RawBuilder<unknown>[] {
  return ['running', ...ENDED].map(
    (state) =>
      sql`SELECT * FROM (SELECT id, ${jobId} AS job FROM piko_run FORCE INDEX (run_job) WHERE job_id = ${exactId(jobId)} AND state = ${sql.lit(state)} ORDER BY id DESC LIMIT ${sql.lit(runs)}) AS some`,
  )
}

const LOOKED_THROUGH = 1_000

/**
 * SQLite has no index of a job's ended runs. Those with a tick are in the index (job_id, tick), and so are the others, by id. Queued runs
 * may come before them in these indexes, so a part searches only runs that are older than any queued one.
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
