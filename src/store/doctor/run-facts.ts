import { type Selectable, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { nextPriority } from '../runs/claim/next-priority.ts'
import { QUEUED, RUNNING } from '../runs/run-states.ts'
import type { RunTable } from '../tables.ts'
import { soundRows } from '../values/broken-row.ts'

/** A run that may be stuck, and for how long. */
export interface StuckRun {
  readonly id: number
  readonly jobId: string
  readonly nodeId: string | undefined
  /** Milliseconds since the run began, was due, or was asked to end. */
  readonly forMs: number
}

export interface RunFacts {
  /** Running runs whose node has no valid lease. */
  readonly orphans: readonly StuckRun[]
  /** Running runs of live nodes, with a cancel request. */
  readonly cancelled: readonly StuckRun[]
  /** Running runs of live nodes, the oldest first. */
  readonly running: readonly StuckRun[]
  /** Due runs in the queue. Within each priority, the runs that have been due longest come first. */
  readonly due: readonly StuckRun[]
}

/** The maximum number of runs of each kind. */
const MAX_RUNS = 500
const MAX_PRIORITIES = 10

type Row = Pick<
  Selectable<RunTable>,
  'id' | 'job_id' | 'node_id' | 'run_at' | 'started_at' | 'cancel_requested_at' | 'priority'
>

export async function runFacts(database: Database): Promise<RunFacts> {
  const { db, dialect } = database
  const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
  const nowMs = dialect.date(now).getTime()
  // Unreadable rows are left out here, because another check reports them.
  const sound = (rows: readonly Row[]): readonly Row[] => soundRows(dialect, 'piko_run', rows, () => {})
  const nodes = await db.selectFrom('piko_node').select(['id']).where('expires_at', '>=', dialect.now()).execute()
  const live = new Set(nodes.map(({ id }) => id))
  const running = sound(await columnsOf(database).where('state', '=', RUNNING).limit(MAX_RUNS).execute())
  const stuck = (row: Row, at: Date | string | null): StuckRun[] =>
    at === null
      ? []
      : [{ id: row.id, jobId: row.job_id, nodeId: row.node_id ?? undefined, forMs: nowMs - dialect.date(at).getTime() }]
  const isHeld = ({ node_id: id }: Row): boolean => id !== null && live.has(id)
  return {
    orphans: running.filter((row) => !isHeld(row)).flatMap((row) => stuck(row, row.started_at ?? row.run_at)),
    cancelled: running.filter(isHeld).flatMap((row) => stuck(row, row.cancel_requested_at)),
    running: running
      .filter(isHeld)
      .flatMap((row) => stuck(row, row.started_at))
      .sort((one, other) => other.forMs - one.forMs),
    due: sound(await dueRows(database)).flatMap((row) => stuck(row, row.run_at)),
  }
}

/** Returns the runs that have been due longest, some of each priority, in the order of the queue's index. */
async function dueRows(database: Database): Promise<Row[]> {
  const { dialect } = database
  const rows: Row[] = []
  let after: number | undefined
  for (let count = 0; count < MAX_PRIORITIES; count++) {
    after = await nextPriority(database.db, after)
    if (after === undefined) break
    rows.push(
      ...(await columnsOf(database)
        .where('state', '=', QUEUED)
        .where('priority', '=', after)
        .where('run_at', '<=', dialect.now())
        .orderBy('run_at')
        .limit(MAX_RUNS / MAX_PRIORITIES)
        .execute()),
    )
  }
  return rows
}

function columnsOf({ db }: Database) {
  return db
    .selectFrom('piko_run')
    .select(['id', 'job_id', 'node_id', 'run_at', 'started_at', 'cancel_requested_at', 'priority'])
}

/** Counts the queued runs by job, at most 10,000 runs in total. */
export async function queuedByJob({ db }: Database): Promise<ReadonlyMap<string, number>> {
  const queued = db.selectFrom('piko_run').select('job_id').where('state', '=', QUEUED).limit(10_000).as('queued')
  const rows = await db
    .selectFrom(queued)
    .select((eb) => ['job_id', eb.fn.countAll<number>().as('count')])
    .groupBy('job_id')
    .orderBy(sql`job_id`)
    .execute()
  return new Map(rows.map(({ job_id: id, count }) => [id, Number(count)]))
}
