import type { Run, RunState } from '../../run/run.ts'
import { batchesOf } from '../../sql/statement-size.ts'
import { mapSound } from '../values/map-sound.ts'
import type { Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { idRanges, runsIn } from './id-ranges.ts'
import { BYTES, fits, isIndexed, type RunFilter } from './run-filter.ts'
import { runOf } from './run-row.ts'

/** Up to this many matching runs are found by an index and then sorted. If there are more, all runs are searched in order. */
const MAX_SORTED = 2_000
/** The limits of one read on SQLite. */
const PART = { maxRows: 500, maxBytes: 2_000_000 }

interface Found {
  readonly id: number
  readonly bytes: number
}

/**
 * Lists runs, newest first.
 *
 * A database server does not block the event loop, so one query is enough. SQLite does block it. So on SQLite this reads first the ids and
 * then the rows, in small parts.
 */
export async function listRuns(database: Database, filter: RunFilter = {}): Promise<Run[]> {
  const { db, dialect, broken } = database
  if (dialect.name === 'mysql') {
    const rows = await db
      .selectFrom('piko_run')
      .selectAll()
      .where((eb) => fits(eb, database.dialect, filter))
      .orderBy('id', 'desc')
      .limit(filter.limit ?? 100)
      .execute()
    return mapSound(dialect, 'piko_run', rows, (row) => runOf(row, dialect), broken.report)
  }
  const runs: Run[] = []
  for await (const found of newestFirst(database, filter)) {
    for (const part of batchesOf(found, ({ bytes }) => bytes, PART)) {
      const ids = part.map(({ id }) => id)
      const rows = await db
        .selectFrom('piko_run')
        .selectAll()
        .where('id', 'in', ids)
        // A run may have changed since its id was read, so its state is checked again.
        .$if(filter.state !== undefined, (query) => query.where(dialect.checkedState, '=', filter.state as RunState))
        .orderBy('id', 'desc')
        .execute()
      runs.push(...(await mapSound(dialect, 'piko_run', rows, (row) => runOf(row, dialect), broken.report)))
    }
  }
  return runs
}

/** Counts the runs by state, of one job or of all jobs. */
export async function countRuns(database: Database, jobId?: string): Promise<Record<RunState, number>> {
  const counts: Record<RunState, number> = {
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    skipped: 0,
  }
  for await (const range of idRanges(database)) {
    let query = runsIn(database, range)
      .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
      .groupBy('state')
    if (jobId !== undefined) query = query.where('job_id', '=', exactId(jobId))
    for (const { state, count } of await query.execute()) if (state in counts) counts[state] += Number(count)
  }
  return counts
}

/** Yields the ids of the runs to list, in batches. */
async function* newestFirst(database: Database, filter: RunFilter): AsyncGenerator<Found[]> {
  const { db } = database
  const isAll = filter.jobId === undefined && !isIndexed(filter.state)
  let left = filter.limit ?? 100
  if (!isAll && (await isFew(database, filter))) {
    yield await db
      .selectFrom('piko_run')
      .select(['id', BYTES])
      .where((eb) => fits(eb, database.dialect, filter))
      .orderBy('id', 'desc')
      .limit(left)
      .execute()
    return
  }
  for await (const range of idRanges(database, undefined, 'newest')) {
    for (let last = range.last; left > 0;) {
      const size = Math.min(left, PART.maxRows)
      const found = await runsIn(database, { ...range, last })
        .select(['piko_run.id', BYTES])
        .where((eb) => fits(eb, database.dialect, filter))
        .orderBy('piko_run.id', 'desc')
        .limit(size)
        .execute()
      if (found.length > 0) yield found
      left -= found.length
      if (found.length < size) break
      last = (found.at(-1) as Found).id - 1
    }
    if (left <= 0) return
  }
}

/** Whether the matching runs can be found by an index and are few enough to sort. */
export async function isFew(database: Database, filter: RunFilter): Promise<boolean> {
  const { jobId, state } = filter
  const { db } = database
  if (jobId === undefined && !isIndexed(state)) return false
  const some = db
    .selectFrom('piko_run')
    .select('id')
    // The index of a job's runs has only some states.
    .where((eb) =>
      fits(eb, database.dialect, {
        ...(jobId !== undefined && { jobId }),
        ...(isIndexed(state) && state !== undefined && { state }),
      }),
    )
    .limit(MAX_SORTED + 1)
  const { count } = await db
    .selectFrom(some.as('some'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count) <= MAX_SORTED
}
