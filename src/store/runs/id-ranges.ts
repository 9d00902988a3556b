import { type Selectable, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { storedInstant } from '../../time/instant.ts'
import { chunksOf } from '../statements/chunks.ts'
import type { RunTable } from '../tables.ts'

/** Some of the runs, by their ids. */
export interface IdRange {
  /** Only runs with a greater id. */
  readonly after: number
  /** Only runs with this id or a smaller one. */
  readonly last: number
  readonly ids?: readonly number[]
}

/** How many ids one SQLite statement covers. This takes a few milliseconds, whatever the query. */
const SPAN = 10_000
/** The maximum number of ids that one statement can name: SQLite accepts 32,766 parameters. */
export const MAX_NAMED = 5_000

/** Returns the ids without duplicates, in ascending order. */
export function idsInOrder(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((one, other) => one - other)
}

/**
 * Splits all current runs, or the named ones, into parts of ascending or descending ids. A server gets a single part, because it can use
 * its own indexes.
 *
 * On SQLite a part is a range of the primary key. There, no index lists the runs of one state in the order of their ids. If each batch
 * sorted them, the total time would grow with the square of their number.
 */
export async function* idRanges(
  database: Database,
  ids?: readonly number[],
  order: 'oldest' | 'newest' = 'oldest',
): AsyncGenerator<IdRange> {
  const first = await endOfRuns(database, 'asc')
  const last = await endOfRuns(database, 'desc')
  if (first === undefined || last === undefined) return
  if (ids) {
    for (const some of chunksOf(idsInOrder(ids), MAX_NAMED)) yield { after: 0, last, ids: some }
  } else if (database.dialect.name === 'mysql') {
    yield { after: 0, last }
  } else {
    const spans = Math.ceil((last - first + 1) / SPAN)
    for (let span = 0; span < spans; span++) {
      const after = first - 1 + SPAN * (order === 'oldest' ? span : spans - 1 - span)
      yield { after, last: Math.min(last, after + SPAN) }
    }
  }
}

/** Reads ascending ids in batches of `size`, until a batch is not full. `read` returns the ids that follow the given one. */
export async function* idBatches(
  size: number,
  after: number,
  read: (after: number, size: number) => Promise<readonly { readonly id: number }[]>,
): AsyncGenerator<number[]> {
  for (let last = after; ;) {
    const ids = (await read(last, size)).map(({ id }) => id)
    if (ids.length > 0) yield ids
    if (ids.length < size) return
    last = ids.at(-1) ?? last
  }
}

/** Returns the smallest or the greatest id, but not both, because for both in one query SQLite would read all runs. */
export async function endOfRuns({ db }: Database, order: 'asc' | 'desc'): Promise<number | undefined> {
  return (await db.selectFrom('piko_run').select('id').orderBy('id', order).limit(1).executeTakeFirst())?.id
}

/** Selects the runs of a range. On SQLite they are read by primary key. */
export function runsIn({ db, dialect }: Database, { after, last, ids }: IdRange) {
  const table = sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${dialect.byPrimaryKey}`)
  const query = db.selectFrom(table).where('piko_run.id', '>', after).where('piko_run.id', '<=', last)
  return ids ? query.where('piko_run.id', 'in', ids) : query
}

/**
 * Returns approximately the first id of the runs that were stored at the given time or later. Uses a binary search over the ids, about 20
 * reads by primary key.
 */
export async function firstIdSince(
  database: Database,
  { first, end }: { readonly first: number; readonly end: number },
  at: Date,
): Promise<number> {
  let low = first
  let high = end
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const row = await storedFrom(database, middle)
    if (!row || row.createdAt >= at) high = middle
    else low = row.id + 1
  }
  return Math.min(low, end)
}

/** The maximum number of unreadable rows to skip in one search. */
const MAX_SKIPPED = 100

/**
 * Returns the run with this id, or the next one, or the previous one if `order` is `'desc'`. Skips runs whose `created_at` can't be read,
 * because a person has edited it.
 */
export async function storedFrom(
  { db }: Database,
  id: number,
  order: 'asc' | 'desc' = 'asc',
): Promise<{ readonly id: number; readonly createdAt: Date } | undefined> {
  let from = id
  for (let skipped = 0; skipped < MAX_SKIPPED; skipped += 1) {
    const row = await db
      .selectFrom('piko_run')
      .select(['id', 'created_at'])
      .where('id', order === 'asc' ? '>=' : '<=', from)
      .orderBy('id', order)
      .limit(1)
      .executeTakeFirst()
    if (!row) return undefined
    const createdAt = storedInstant(row.created_at)
    if (createdAt) return { id: row.id, createdAt }
    from = row.id + (order === 'asc' ? 1 : -1)
  }
  return undefined
}
