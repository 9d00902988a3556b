import { sql } from 'kysely'
import type { RunState } from '../../run/run.ts'
import { storedInstant } from '../../time/instant.ts'
import { soundRows } from '../values/broken-row.ts'
import { exactId } from '../values/exact-key.ts'
import type { Database } from '../connection/database.ts'
import { capped, type CappedCount } from '../statements/capped-count.ts'
import { JobRanks } from '../jobs/job-ranks.ts'
import { oldestOpenWindows } from '../windows/window-lag.ts'
import { endOfRuns, storedFrom } from './id-ranges.ts'

/** The work of all nodes at one point in time. */
export interface RunSummary {
  readonly queued: CappedCount
  /** Queued runs that are due. */
  readonly due: CappedCount
  readonly running: CappedCount
  readonly failed: CappedCount
  /** How long the oldest due run has waited, in milliseconds. Exact if `due` is exact. */
  readonly oldestDueMs: number | undefined
  /** How many of the newest runs, at most 10,000, are in each state. */
  readonly recent: { readonly since: Date | undefined; readonly states: Readonly<Partial<Record<RunState, number>>> }
  /** How long the newest started runs waited after their `runAt`, in milliseconds. */
  readonly lateness: { readonly runs: number; readonly p50Ms: number; readonly p95Ms: number; readonly maxMs: number }
  /** The jobs with windows, the ones with the greatest lag first; at most 500 jobs. If there are more, a lag may appear 10 s late. */
  readonly windows: readonly WindowLag[]
}

export interface WindowLag {
  readonly jobId: string
  /** The start of the oldest window that has not succeeded and was not skipped. Undefined if there is none. */
  readonly oldestOpen: Date | undefined
  /** The time from `oldestOpen` until now, in milliseconds; 0 if there is no such window. */
  readonly lagMs: number
}

const MAX_COUNTED = 10_000
const RECENT = 10_000
const MEASURED = 1_000
const MAX_JOBS = 500

/** Summarizes the runs. Reads only what indexes find, or a limited number of rows. */
export async function runSummary(database: Database): Promise<RunSummary> {
  const { db, dialect } = database
  const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
  const at = dialect.date(now)
  const due = await dueRuns(database)
  return {
    queued: await counted(database, 'queued'),
    due: capped(due.count, MAX_COUNTED),
    running: await counted(database, 'running'),
    failed: await counted(database, 'failed'),
    oldestDueMs: due.oldest && Math.max(0, at.getTime() - due.oldest.getTime()),
    recent: await recentRuns(database),
    lateness: await lateness(database),
    windows: await windowLags(database, at),
  }
}

/** Counts the runs in a state, of one job or of all jobs. */
export async function counted(
  { db }: Database,
  state: 'queued' | 'running' | 'failed',
  jobId?: string,
): Promise<CappedCount> {
  const some = db
    .selectFrom('piko_run')
    .select('id')
    .$if(jobId !== undefined, (query) => query.where('job_id', '=', exactId(jobId ?? '')))
    // The state is a literal, because SQLite does not use that state's index for a bound value.
    .where('state', '=', sql.lit(state))
    .limit(MAX_COUNTED + 1)
  const { count } = await db
    .selectFrom(some.as('some'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return capped(Number(count), MAX_COUNTED)
}

async function dueRuns(database: Database): Promise<{ count: number; oldest: Date | undefined }> {
  const { db, dialect } = database
  const some = db
    .selectFrom('piko_run')
    .select('run_at')
    .where('state', '=', sql.lit('queued' as const))
    .where('run_at', '<=', dialect.now())
    .limit(MAX_COUNTED + 1)
  const { count, oldest } = await db
    .selectFrom(some.as('some'))
    .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.min('run_at').as('oldest')])
    .executeTakeFirstOrThrow()
  const first: Date | string | null = oldest
  if (first === null) return { count: Number(count), oldest: undefined }
  return { count: Number(count), oldest: storedInstant(first) ?? (await oldestReadable(database)) }
}

const SEARCHED = 100

/** The oldest due run with a readable `run_at`. Used only after a person has written something else into that column. */
async function oldestReadable({ db, dialect }: Database): Promise<Date | undefined> {
  const rows = await db
    .selectFrom('piko_run')
    .select('run_at')
    .where('state', '=', sql.lit('queued' as const))
    .where('run_at', '<=', dialect.now())
    .orderBy('run_at')
    .limit(SEARCHED)
    .execute()
  return rows.map(({ run_at }) => storedInstant(run_at)).find((at) => at !== undefined)
}

async function recentRuns(database: Database): Promise<RunSummary['recent']> {
  const last = await endOfRuns(database, 'desc')
  if (last === undefined) return { since: undefined, states: {} }
  const rows = await database.db
    .selectFrom('piko_run')
    .select((eb) => ['state', eb.fn.countAll<number>().as('count'), eb.fn.min('created_at').as('since')])
    .where('id', '>', last - RECENT)
    .groupBy('state')
    .execute()
  const starts = rows.map(({ since }) => storedInstant(since)?.getTime())
  return {
    since: starts.every((start) => start !== undefined)
      ? new Date(Math.min(...starts))
      : (await storedFrom(database, last - RECENT + 1))?.createdAt,
    states: Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)])),
  }
}

async function lateness(database: Database): Promise<RunSummary['lateness']> {
  const last = await endOfRuns(database, 'desc')
  const { db, dialect } = database
  const rows = await db
    .selectFrom('piko_run')
    .select(['id', 'run_at', 'started_at'])
    .where('id', '>', (last ?? 0) - MEASURED)
    .where('started_at', 'is not', null)
    .execute()
  const late = soundRows(dialect, 'piko_run', rows, database.broken.report)
    .flatMap(({ run_at, started_at }) =>
      started_at === null ? [] : [Math.max(0, dialect.date(started_at).getTime() - dialect.date(run_at).getTime())],
    )
    .toSorted((one, other) => one - other)
  const at = (share: number): number => late[Math.min(late.length - 1, Math.floor(late.length * share))] ?? 0
  return { runs: late.length, p50Ms: at(0.5), p95Ms: at(0.95), maxMs: late.at(-1) ?? 0 }
}

/** Returns the jobs with the greatest lag, if there are more jobs with windows than are listed. */
async function lateJobs(database: Database): Promise<readonly string[] | undefined> {
  const next = await database.db
    .selectFrom('piko_job')
    .select('id')
    .where('windows', 'is not', null)
    .orderBy('id')
    .limit(1)
    .offset(MAX_JOBS)
    .executeTakeFirst()
  if (!next) return undefined
  const ranked = (await JobRanks.of(database).get()).filter(({ hasWindows }) => hasWindows)
  const byLag = ranked.toSorted((one, other) => (one.oldestOpen < other.oldestOpen ? -1 : 1))
  return byLag.slice(0, MAX_JOBS).map(({ id }) => id)
}

/** Lists the jobs, the ones with the greatest lag first. */
async function windowLags(database: Database, now: Date): Promise<WindowLag[]> {
  const found = await oldestOpenWindows(database, (await lateJobs(database)) ?? MAX_JOBS)
  return found
    .map(({ jobId, oldestOpen }): WindowLag => {
      const lagMs = oldestOpen ? Math.max(0, now.getTime() - oldestOpen.getTime()) : 0
      return { jobId, oldestOpen, lagMs }
    })
    .toSorted((one, other) => other.lagMs - one.lagMs)
}
