import { readInstant } from '../../time/instant.ts'
import type { Window } from '../../time/window.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { optionalDate } from '../runs/run-row.ts'
import { fromJson } from '../../json/json.ts'
import { ALL_STARTS, type StartRange, startRanges, windowsWithin, withoutNext } from './window-ranges.ts'
import { readExtreme } from '../values/read-extreme.ts'

/** The bounds of a registered job's ledger. */
export interface LedgerBounds {
  /** The instant `windows.start`. */
  readonly begin: Date | undefined
  /** The start of the first window that the planner itself created. */
  readonly start: Date | undefined
  /** The instant up to which windows are planned. */
  readonly cursor: Date | undefined
}

export const MAX_UNRUN = 100

export async function ledgerBounds({ db, dialect }: Database, jobId: string): Promise<LedgerBounds> {
  const row = await db
    .selectFrom('piko_job')
    .select(['id', 'windows', 'ledger_start', 'window_cursor'])
    .where('id', '=', exactId(jobId))
    .executeTakeFirst()
  if (!row) return { begin: undefined, start: undefined, cursor: undefined }
  assertSound(dialect, 'piko_job', row)
  const windows = fromJson(row.windows) as { readonly start?: unknown } | undefined
  const begin = readInstant(windows?.start)
  return {
    begin: 'date' in begin ? begin.date : undefined,
    start: optionalDate(row.ledger_start, dialect),
    cursor: optionalDate(row.window_cursor, dialect),
  }
}

/**
 * Returns the parts of a job's timeline without a window, oldest first: before the first window, between windows of the range `counted` (at
 * most 100 parts), and from the last window to the instant where planning continues. Also returns the end of the last window.
 */
export async function unrunStretches(
  { db, dialect }: Database,
  jobId: string,
  { begin, cursor }: LedgerBounds,
  counted: StartRange,
): Promise<{ readonly unrun: Window[]; readonly end: Date | undefined }> {
  const id = exactId(jobId)
  const { except = [] } = counted
  const windows = windowsWithin(db, jobId, { ...ALL_STARTS, except })
    .select(['one.id', 'one.job_id', 'one.start_at', 'one.end_at'])
    .limit(1)
  const oldest = await windows.orderBy('one.start_at').executeTakeFirst()
  const newest = await windows.orderBy('one.start_at', 'desc').executeTakeFirst()
  if (!oldest || !newest) return { unrun: stretch(begin, cursor), end: undefined }
  for (const row of [oldest, newest]) assertSound(dialect, 'piko_window', row)
  const end = dialect.date(newest.end_at)
  const unrun = stretch(begin, dialect.date(oldest.start_at))
  const most = unrun.length + MAX_UNRUN
  for await (const range of startRanges(db, dialect, jobId, counted)) {
    const gaps = await withoutNext(db, jobId, range)
      .select((eb) => [
        'one.id',
        'one.job_id',
        'one.end_at',
        eb
          .selectFrom('piko_window as later')
          .select('later.start_at')
          .where('later.job_id', '=', id)
          .whereRef('later.start_at', '>=', 'one.end_at')
          .$if(except.length > 0, (query) => query.where('later.id', 'not in', except))
          .orderBy('later.start_at')
          .limit(1)
          .as('later'),
      ])
      .where('one.end_at', '<', newest.end_at)
      .orderBy('one.start_at')
      .limit(most - unrun.length)
      .execute()
    for (const { later, ...row } of gaps) {
      const from = dialect.date(assertSound(dialect, 'piko_window', row).end_at)
      unrun.push(...stretch(from, await readExtreme(db, dialect, jobId, 'start_at', later)))
    }
    if (unrun.length >= most) break
  }
  return { unrun: [...unrun, ...stretch(end, cursor)], end }
}

function stretch(start: Date | undefined, end: Date | undefined): Window[] {
  return start && end && start < end ? [{ start, end }] : []
}
