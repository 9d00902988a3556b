import { type Selectable, sql } from 'kysely'
import { marksOf } from '../../run/phases.ts'
import type { Run } from '../../run/run.ts'
import { type InstantInput, instantOf } from '../../time/instant.ts'
import type { Window } from '../../time/window.ts'
import type { Database } from '../connection/database.ts'
import type { RunTable } from '../tables.ts'
import { exactId } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'
import { idsBetween } from './page-runs.ts'
import { runOf } from './run-row.ts'

/** Which runs a timeline shows. */
export interface TimelineFilter {
  readonly from: InstantInput
  readonly to: InstantInput
  readonly jobId?: string
  /** The maximum number of runs to return. Default: 1,000. */
  readonly limit?: number
}

/** A run without its config, input, output, error, fence and priority. */
export interface TimelineRun extends Omit<
  Run,
  'config' | 'configVersion' | 'input' | 'output' | 'error' | 'fence' | 'priority'
> {
  /**
   * When the handler of the last attempt began. Undefined until the attempt has ended. If undefined after a success, the handler began less
   * than a second after the claim.
   */
  readonly beganAt: Date | undefined
}

export interface RunTimeline {
  /** The runs, newest first. */
  readonly runs: readonly TimelineRun[]
  /** False if runs of the range are missing. Then these are the newest ones, or a sample that is spread evenly over the ids. */
  readonly isWhole: boolean
}

const DEFAULT_LIMIT = 1_000
/** How many ids one statement covers. On SQLite the statement blocks the event loop. */
const SPAN = { mysql: 20_000, sqlite: 5_000 } as const
/** After this time a search ends and returns what it has found. */
const BUDGET_MS = 250
/** How many ids before the range are searched too, because the runs with these ids may have been active in the range. */
const EARLIER = 10_000
/** How many ids of a sample one statement reads. */
const SAMPLED = 2_000

const COLUMNS = [
  ...([
    'id',
    'job_id',
    'state',
    'kind',
    'priority',
    'run_at',
    'tick',
    'window_start',
    'window_end',
    'backfill_id',
  ] as const),
  ...(['attempt', 'claims', 'node_id', 'reason', 'created_at', 'started_at', 'finished_at'] as const),
  ...(['cancel_requested_at', 'config_version', 'concurrency_key', 'rate_key', 'phases'] as const),
]
type Row = Pick<Selectable<RunTable>, (typeof COLUMNS)[number]>

/** Finds the runs that waited or ran in a range of time. The time that this takes is limited, however many runs the store has. */
export async function timelineRuns(database: Database, filter: TimelineFilter): Promise<RunTimeline> {
  const { limit = DEFAULT_LIMIT, jobId } = filter
  const range = { start: instantOf('from', filter.from), end: instantOf('to', filter.to) }
  const ids = await idsBetween(database, range)
  if (!ids) return { runs: [], isWhole: true }
  const lowest = Math.max(ids.lowest - EARLIER, 1)
  const isMany = jobId === undefined && ids.last - ids.lowest + 1 > SPAN[database.dialect.name]
  const found = isMany
    ? await sampled(database, range, ids, limit)
    : await searched(database, { range, jobId, limit }, { lowest, last: ids.last })
  const running = await stillRunning(database, range, jobId, limit)
  const known = new Set(found.rows.map(({ id }) => id))
  const rows = [...found.rows, ...running.filter(({ id }) => !known.has(id))].sort((one, other) => other.id - one.id)
  const { dialect, broken } = database
  const runs = await mapSound(dialect, 'piko_run', rows.slice(0, limit), (row) => shortOf(row, database), broken.report)
  return { runs, isWhole: found.isWhole && rows.length <= limit }
}

interface Search {
  readonly range: Window
  readonly jobId: string | undefined
  readonly limit: number
}

interface Ids {
  readonly lowest: number
  readonly last: number
}

interface Found {
  readonly rows: readonly Row[]
  readonly isWhole: boolean
}

/** Searches a range of ids, from the newest, for runs that were active in the range of time. */
async function searched(database: Database, { range, jobId, limit }: Search, ids: Ids): Promise<Found> {
  const rows: Row[] = []
  const began = performance.now()
  for (let { last } = ids; last >= ids.lowest; last -= SPAN[database.dialect.name]) {
    if (rows.length > limit || performance.now() - began > BUDGET_MS) return { rows, isWhole: false }
    const first = Math.max(ids.lowest, last - SPAN[database.dialect.name] + 1)
    const some = await activeIn(database, range)
      .where('id', '>=', first)
      .where('id', '<=', last)
      .$if(jobId !== undefined, (query) => query.where('job_id', '=', exactId(jobId ?? '')))
      .orderBy('id', 'desc')
      .limit(limit + 1 - rows.length)
      .execute()
    rows.push(...some)
  }
  return { rows, isWhole: rows.length <= limit }
}

/** Reads runs with evenly spaced ids, by primary key. So the time does not depend on how many ids lie between them. */
async function sampled(database: Database, range: Window, ids: Ids, limit: number): Promise<Found> {
  const size = Math.min(limit, SAMPLED)
  const step = (ids.last - ids.lowest + 1) / size
  const chosen = Array.from({ length: size }, (_, index) => Math.floor(ids.lowest + index * step))
  const rows = await activeIn(database, range).where('id', 'in', chosen).execute()
  return { rows, isWhole: false }
}

/** Returns running runs, which may have begun long before the range. They are found by an index. */
function stillRunning(database: Database, range: Window, jobId: string | undefined, limit: number): Promise<Row[]> {
  return activeIn(database, range)
    .where('state', '=', sql.lit('running'))
    .$if(jobId !== undefined, (query) => query.where('job_id', '=', exactId(jobId ?? '')))
    .limit(limit)
    .execute()
}

/** Selects the runs that waited or ran at some time in the range. */
function activeIn({ db, dialect }: Database, { start, end }: Window) {
  return db
    .selectFrom('piko_run')
    .select(COLUMNS)
    .where('created_at', '<', dialect.instant(end))
    .where((eb) => eb.or([eb('finished_at', 'is', null), eb('finished_at', '>=', dialect.instant(start))]))
    .where((eb) => eb.or([eb('run_at', '<', dialect.instant(end)), eb('started_at', '<', dialect.instant(end))]))
}

function shortOf(row: Row, { dialect }: Database): TimelineRun {
  const whole = runOf({ ...row, config: null, input: null, output: null, error: null }, dialect)
  const { config: _config, input: _input, output: _output, error: _error, ...rest } = whole
  const { configVersion: _version, fence: _fence, priority: _priority, ...run } = rest
  const marks = marksOf(row.phases, row.claims)
  const waitedMs = marks?.ready ?? marks?.begun
  const beganAt =
    waitedMs === undefined || !run.startedAt || !run.finishedAt
      ? undefined
      : new Date(Math.min(run.startedAt.getTime() + waitedMs, run.finishedAt.getTime()))
  return { ...run, beganAt }
}
