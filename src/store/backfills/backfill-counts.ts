import type { Database } from '../connection/database.ts'
import { RUNNING } from '../runs/run-states.ts'
import type { WindowState } from '../tables.ts'

/** How many windows of a backfill are in each state. */
export interface BackfillCounts {
  /** How many windows have no run, because they are waiting for windows that they depend on. */
  readonly waiting: number
  readonly queued: number
  readonly running: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
}

/** The maximum number of windows that one statement counts, because on SQLite the statement blocks the event loop. */
const PART = 10_000

export async function backfillCounts(database: Database, id: number): Promise<BackfillCounts> {
  const counts = await countsByState(database, id)
  const running = counts.pending === 0 ? 0 : await countRunning(database, id)
  const atWork = Math.min(running, counts.pending)
  return {
    waiting: counts.waiting,
    queued: counts.pending - atWork,
    running: atWork,
    succeeded: counts.succeeded + counts.stale,
    failed: counts.failed,
    cancelled: counts.cancelled + counts.skipped,
  }
}

/** Counts with the index (backfill_id, state), either in one statement, or in parts for each state. */
async function countsByState(database: Database, id: number): Promise<Record<WindowState, number>> {
  const { db } = database
  const counts = { succeeded: 0, stale: 0, failed: 0, cancelled: 0, skipped: 0, pending: 0, waiting: 0 }
  const some = db
    .selectFrom('piko_window')
    .select('state')
    .where('backfill_id', '=', id)
    .limit(PART + 1)
  const rows = await db
    .selectFrom(some.as('some'))
    .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
    .groupBy('state')
    .execute()
  for (const { state, count } of rows) if (state in counts) counts[state] = Number(count)
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (total <= PART) return counts
  // Ended windows are counted first, so that a window that ends during the count is not counted twice.
  for (const state of Object.keys(counts) as WindowState[]) {
    counts[state] = 0
    for await (const { count } of partsOf(database, id, state)) counts[state] += count
  }
  return counts
}

async function countRunning(database: Database, id: number): Promise<number> {
  let running = 0
  for await (const part of partsOf(database, id, 'pending', true)) running += part.running
  return running
}

interface Part {
  readonly count: number
  /** How many of these windows have a running run; 0 if not requested. */
  readonly running: number
}

async function* partsOf(database: Database, id: number, state: WindowState, withRuns = false): AsyncGenerator<Part> {
  for (let after: number | undefined = 0; after !== undefined;) {
    const part = await partBehind(database, id, state, after, withRuns)
    yield part
    after = part.last
  }
}

async function partBehind(
  { db }: Database,
  id: number,
  state: WindowState,
  after: number,
  withRuns: boolean,
): Promise<Part & { readonly last: number | undefined }> {
  const part = db
    .selectFrom('piko_window')
    .select(['id', 'run_id'])
    .where('backfill_id', '=', id)
    .where('state', '=', state)
    .where('id', '>', after)
    .orderBy('id')
    .limit(PART)
    .as('part')
  const query = db
    .selectFrom(part)
    .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.max('part.id').as('last')])
  const row = withRuns
    ? await query
        .leftJoin('piko_run', 'piko_run.id', 'part.run_id')
        .select((eb) => eb.fn.count(eb.case().when('piko_run.state', '=', RUNNING).then(1).end()).as('running'))
        .executeTakeFirstOrThrow()
    : { ...(await query.executeTakeFirstOrThrow()), running: 0 }
  const count = Number(row.count)
  return { count, running: Number(row.running), last: count === PART ? Number(row.last) : undefined }
}
