import type { Database } from '../connection/database.ts'
import { endOfRuns, firstIdSince, storedFrom } from '../runs/id-ranges.ts'

/** The runs of the last 24 hours, by their ids. */
export interface LastDay {
  /** The database's time. */
  readonly now: Date
  /** The id of approximately the first run that was stored within the last 24 hours; 0 if there are no runs. */
  readonly since: number
  /** The id of the newest run; 0 if there are no runs. */
  readonly end: number
}

const DAY_MS = 86_400_000
const FIRST_STEP = 256

/** The previous answer of each database. The first id of the last day only grows, so the next search begins there. */
const previous = new WeakMap<Database, { readonly atMs: number; readonly since: number }>()

/**
 * Finds the runs of the last 24 hours. Usually sends three statements at the same time, and then two more. The first search of a process
 * sends about 20 more.
 */
export async function lastDay(database: Database): Promise<LastDay> {
  const { db, dialect } = database
  const [{ now }, first, end] = await Promise.all([
    db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow(),
    endOfRuns(database, 'asc'),
    endOfRuns(database, 'desc'),
  ])
  const at = dialect.date(now)
  if (first === undefined || end === undefined) return { now: at, since: 0, end: 0 }
  const dayAgo = new Date(at.getTime() - DAY_MS)
  const since =
    (await sinceBefore(database, { first, end }, dayAgo)) ?? (await firstIdSince(database, { first, end }, dayAgo))
  previous.set(database, { atMs: dayAgo.getTime(), since })
  return { now: at, since, end }
}

/** Searches for the first id, beginning at the previous answer. Undefined if that answer can't be used. */
async function sinceBefore(
  database: Database,
  { first, end }: { readonly first: number; readonly end: number },
  at: Date,
): Promise<number | undefined> {
  const before = previous.get(database)
  if (!before || before.atMs > at.getTime() || before.since < first || before.since > end) return undefined
  const { since } = before
  const [older, own] = await Promise.all([
    isStoredSince(database, since - 1, at, 'before'),
    isStoredSince(database, since, at),
  ])
  if (older) return undefined
  if (own) return since
  let low = since
  for (let step = FIRST_STEP; low + step < end; step *= 2) {
    if (await isStoredSince(database, low + step, at))
      return firstIdSince(database, { first: low, end: low + step }, at)
    low += step
  }
  return firstIdSince(database, { first: low, end }, at)
}

/**
 * Whether the run with this id was stored at an instant or later. If there is no such run, the next one decides, or the previous one for
 * the side `before`. False if there is no run on that side.
 */
async function isStoredSince(
  database: Database,
  id: number,
  at: Date,
  side: 'from' | 'before' = 'from',
): Promise<boolean> {
  const row = await storedFrom(database, id, side === 'from' ? 'asc' : 'desc')
  return row !== undefined && row.createdAt >= at
}
