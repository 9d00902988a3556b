import { type Selectable, sql } from 'kysely'
import type { Run } from '../../run/run.ts'
import { batchesOf } from '../../sql/statement-size.ts'
import { instantOf } from '../../time/instant.ts'
import type { Database } from '../connection/database.ts'
import type { RunTable } from '../tables.ts'
import { mapSound } from '../values/map-sound.ts'
import type { Window } from '../../time/window.ts'
import { endOfRuns, firstIdSince } from './id-ranges.ts'
import { isFew } from './list-runs.ts'
import { BYTES, fits, isIndexed, type RunFilter } from './run-filter.ts'
import { runOf } from './run-row.ts'

/** A page of runs, newest first. */
export interface RunPage {
  readonly runs: readonly Run[]
  /** The `before` of the next page; undefined on the last one. */
  readonly next: number | undefined
}

interface Found {
  readonly id: number
  readonly bytes: number
}

/** If a search finds little, it ends after this time and returns where the next page continues. */
const BUDGET_MS = 60
/** How many ids one statement covers. On SQLite the statement blocks the event loop. */
const SPAN = { mysql: 20_000, sqlite: 5_000 } as const
const PART = { maxRows: 500, maxBytes: 2_000_000 }
/** The order of the ids can differ from the order of the times by this much, because runs may be stored at the same time. */
const SLACK_MS = 600_000

/** Returns a page of the matching runs. The time is limited whatever the filter: if few runs match, the page may end before it is full. */
export async function pageRuns(database: Database, filter: RunFilter): Promise<RunPage> {
  const { limit = 100 } = filter
  const { found, next } = await search(database, filter, limit)
  const runs: Run[] = []
  for (const part of batchesOf(found, ({ bytes }) => bytes, PART)) {
    const rows = await database.db
      .selectFrom('piko_run')
      .selectAll()
      .where(
        'id',
        'in',
        part.map(({ id }) => id),
      )
      .orderBy('id', 'desc')
      .execute()
    // A run may have changed after its id was read, so its state is checked again.
    const same = rows.filter(({ state }) => filter.state === undefined || state === filter.state)
    const { dialect, broken } = database
    runs.push(...(await mapSound(dialect, 'piko_run', same, (row) => runOf(row, dialect), broken.report)))
  }
  return { runs, next }
}

async function search(
  database: Database,
  filter: RunFilter,
  limit: number,
): Promise<{ readonly found: readonly Found[]; readonly next: number | undefined }> {
  const isSorted = isOrdered(database, filter)
  if (isSorted || (await isFew(database, filter))) {
    const byIndex = sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(
      sql`piko_run${isSorted ? indexInOrder(database, filter) : indexOfFew(database, filter)}`,
    )
    const found = await database.db
      .selectFrom(byIndex)
      .select(['piko_run.id', BYTES])
      .where((eb) => fits(eb, database.dialect, filter))
      .orderBy('piko_run.id', 'desc')
      .limit(limit)
      .execute()
    return { found, next: found.length === limit ? found.at(-1)?.id : undefined }
  }
  const found: Found[] = []
  const began = performance.now()
  const { lowest, ...range } = await bounds(database, filter)
  let { last } = range
  while (last >= lowest && found.length < limit) {
    if (performance.now() - began > BUDGET_MS) return { found, next: last + 1 }
    const first = Math.max(lowest, last - SPAN[database.dialect.name] + 1)
    const some = await within(database, filter, first, last, limit - found.length)
    found.push(...some)
    last = first - 1
  }
  return { found, next: found.length === limit ? found.at(-1)?.id : undefined }
}

/** Returns the index to use if few runs match. Without it, a database may read all runs in the order of their ids to find them. */
function indexOfFew({ dialect }: Database, { jobId, state }: RunFilter) {
  if (!isIndexed(state)) return sql``
  if (dialect.name === 'sqlite') return sql` INDEXED BY ${sql.raw(`run_${state ?? ''}`)}`
  return dialect.forceIndex(jobId === undefined ? 'run_queue' : 'run_job')
}

/** Whether an index lists the matching runs in the order of their ids. */
function isOrdered({ dialect }: Database, { jobId, state, kind, from, to, error }: RunFilter): boolean {
  const isPlain = kind === undefined && from === undefined && to === undefined && error === undefined
  return isPlain && jobId !== undefined && state !== undefined && (dialect.name === 'mysql' || isIndexed(state))
}

/** Returns the index for {@link isOrdered}. Without it, MariaDB begins at the newest run of the state, however old the page is. */
function indexInOrder({ dialect }: Database, { state }: RunFilter) {
  return dialect.name === 'mysql' ? dialect.forceIndex('run_job') : sql` INDEXED BY ${sql.raw(`run_${state ?? ''}`)}`
}

/** Finds the matching runs in a range of ids, by primary key. */
function within(
  { db, dialect }: Database,
  filter: RunFilter,
  first: number,
  last: number,
  limit: number,
): Promise<Found[]> {
  const primary = dialect.name === 'mysql' ? sql` FORCE INDEX (PRIMARY)` : sql` NOT INDEXED`
  return db
    .selectFrom(sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${primary}`))
    .select(['piko_run.id', BYTES])
    .where('piko_run.id', '>=', first)
    .where('piko_run.id', '<=', last)
    .where((eb) => fits(eb, dialect, filter))
    .orderBy('piko_run.id', 'desc')
    .limit(limit)
    .execute()
}

/** Returns the range of ids that can contain matching runs. */
async function bounds(database: Database, { from, to, before = Infinity }: RunFilter) {
  const first = await endOfRuns(database, 'asc')
  const end = await endOfRuns(database, 'desc')
  if (first === undefined || end === undefined) return { lowest: 1, last: 0 }
  const near = (at: Date, slackMs: number): Promise<number> =>
    firstIdSince(database, { first, end }, new Date(at.getTime() + slackMs))
  const lowest = from === undefined ? first : await near(instantOf('from', from), -SLACK_MS)
  const last = to === undefined ? end : await near(instantOf('to', to), SLACK_MS)
  return { lowest, last: Math.min(last, before - 1) }
}

/** Returns a range of ids that contains all runs that were stored in a range of time. Undefined: there is no such run. */
export async function idsBetween(
  database: Database,
  { start, end }: Window,
): Promise<{ readonly lowest: number; readonly last: number } | undefined> {
  const { lowest, last } = await bounds(database, { from: start, to: end })
  return last < lowest ? undefined : { lowest, last }
}
