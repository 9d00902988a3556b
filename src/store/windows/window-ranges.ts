import { type Kysely, sql } from 'kysely'
import { WINDOW_STATES } from '../../ledger/window-state.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import type { Tables, WindowState } from '../tables.ts'

/** The maximum number of windows that one SQLite statement reads. The statement takes a few milliseconds, whatever the query. */
const SPAN = 2_500

/** Some of a job's windows, by their stored starts. */
export interface StartRange {
  /** The start of the range. Undefined: it begins with the first window. */
  readonly from: Date | string | undefined
  /** The end of the range: only windows that start before it belong to the range. Undefined: the range ends with the last window. */
  readonly before: Date | string | undefined
  /** Ids of windows to skip. */
  readonly except?: readonly number[]
}

export const ALL_STARTS: StartRange = { from: undefined, before: undefined }

/**
 * Yields ranges that together contain the windows of a job, or those in one state, oldest first. On a server there is only one range. On
 * SQLite there are many small ones, because a statement blocks the event loop while it runs.
 */
export async function* startRanges(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  { from, before, ...rest }: StartRange = ALL_STARTS,
  state?: WindowState,
): AsyncGenerator<StartRange> {
  let next = from
  while (dialect.name === 'sqlite') {
    let query = db
      .selectFrom('piko_window')
      .select('start_at')
      .where('job_id', '=', exactId(jobId))
      .orderBy('start_at')
      .offset(SPAN)
      .limit(1)
    if (next !== undefined) query = query.where('start_at', '>=', next)
    if (before !== undefined) query = query.where('start_at', '<', before)
    if (state !== undefined) query = query.where('state', '=', state)
    const end = (await query.executeTakeFirst())?.start_at
    if (end === undefined) break
    yield { ...rest, from: next, before: end }
    next = end
  }
  yield { ...rest, from: next, before }
}

/** Selects the windows of a range, with the alias `one`. */
export function windowsWithin(db: Kysely<Tables>, jobId: string, { from, before, except = [] }: StartRange) {
  let query = db.selectFrom('piko_window as one').where('one.job_id', '=', exactId(jobId))
  if (from !== undefined) query = query.where('one.start_at', '>=', from)
  if (before !== undefined) query = query.where('one.start_at', '<', before)
  if (except.length > 0) query = query.where('one.id', 'not in', except)
  return query
}

/** Counts the windows by state. On a server, only entries of the index (job_id, state, start_at) are read. */
export async function countByState(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  { from, before, except = [] }: StartRange,
): Promise<readonly { readonly state: WindowState; readonly count: number }[]> {
  const conditions = [
    sql`job_id = ${exactId(jobId)}`,
    // With this condition, which allows all states, MySQL reads only the index entries of each state in the range, instead of all windows
    // of the job.
    ...(dialect.name === 'mysql' ? [sql`state IN (${sql.join(WINDOW_STATES.map((state) => sql.lit(state)))})`] : []),
    ...(from === undefined ? [] : [sql`start_at >= ${from}`]),
    ...(before === undefined ? [] : [sql`start_at < ${before}`]),
    ...(except.length === 0 ? [] : [sql`id NOT IN (${sql.join(except)})`]),
  ]
  const { rows } = await sql<{ state: WindowState; count: number }>`
    SELECT state, COUNT(*) AS count FROM piko_window${dialect.forceIndex('window_state')}
    WHERE ${sql.join(conditions, sql` AND `)} GROUP BY ${dialect.checkedState}
  `.execute(db)
  return rows
}

/** Selects the windows of a range that are not directly followed by another window of the job. Uses the index (job_id, start_at). */
export function withoutNext(db: Kysely<Tables>, jobId: string, range: StartRange) {
  const { except = [] } = range
  return windowsWithin(db, jobId, range).where((eb) =>
    eb.not(
      eb.exists(
        eb
          .selectFrom('piko_window as next')
          .select('next.id')
          .where('next.job_id', '=', exactId(jobId))
          .whereRef('next.start_at', '=', 'one.end_at')
          .$if(except.length > 0, (query) => query.where('next.id', 'not in', except)),
      ),
    ),
  )
}

/**
 * Returns the start of the first window in one of these states. One statement reads each state from the index (job_id, state, start_at).
 * @throws BrokenRow
 */
export async function firstInState(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  states: readonly WindowState[],
  range: StartRange,
): Promise<Date | undefined> {
  const [query, ...others] = states.map((state) =>
    db
      .selectFrom(
        windowsWithin(db, jobId, range)
          .where('one.state', '=', state)
          .select(['one.id', 'one.job_id', 'one.start_at'])
          .orderBy('one.start_at')
          .limit(1)
          .as('first'),
      )
      .select(['first.id', 'first.job_id', 'first.start_at']),
  )
  if (!query) return undefined
  const rows = await others.reduce((all, other) => all.unionAll(other), query).execute()
  const starts = rows.map((row) => dialect.date(assertSound(dialect, 'piko_window', row).start_at).getTime())
  return starts.length > 0 ? new Date(Math.min(...starts)) : undefined
}
