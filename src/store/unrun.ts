import { type Window } from '../time/window.ts'
import { type Database } from './database.ts'
import { exactId } from './exact-key.ts'
import { optionalDate } from './run-row.ts'
import { readInstant } from '../time/instant.ts'
import { fromJson } from './json.ts'

/** What the registered job says of its time. */
export interface LedgerBounds {
  /** `windows.start`. */
  readonly begin: Date | undefined
  /** Start of the first window that was planned by itself. */
  readonly start: Date | undefined
  /** Up to here windows are planned. */
  readonly cursor: Date | undefined
}

export const MAX_UNRUN = 100

export async function ledgerBounds({ db, dialect }: Database, jobId: string): Promise<LedgerBounds> {
  const row = await db
    .selectFrom('piko_job')
    .select(['windows', 'ledger_start', 'window_cursor'])
    .where('id', '=', exactId(jobId))
    .executeTakeFirst()
  if (!row) return { begin: undefined, start: undefined, cursor: undefined }
  const windows = fromJson(row.windows) as { readonly start?: unknown } | undefined
  const begin = readInstant(windows?.start)
  return {
    begin: 'date' in begin ? begin.date : undefined,
    start: optionalDate(row.ledger_start, dialect),
    cursor: optionalDate(row.window_cursor, dialect),
  }
}

/**
 * The stretches of a job's time that have no window, oldest first: before the first one, between them, and from the last one to where
 * planning goes on.
 */
export async function unrunStretches(
  { db, dialect }: Database,
  jobId: string,
  { begin, cursor }: LedgerBounds,
): Promise<Window[]> {
  const id = exactId(jobId)
  const ends = await db
    .selectFrom('piko_window')
    .select((eb) => [eb.fn.min('start_at').as('start'), eb.fn.max('end_at').as('end')])
    .where('job_id', '=', id)
    .executeTakeFirst()
  const first = optionalDate(ends?.start ?? null, dialect)
  const last = optionalDate(ends?.end ?? null, dialect)
  if (!first || !last) return stretch(begin, cursor)
  const gaps = await db
    .selectFrom('piko_window as one')
    .select((eb) => [
      'one.end_at as start',
      eb
        .selectFrom('piko_window as later')
        .select('later.start_at')
        .where('later.job_id', '=', id)
        .whereRef('later.start_at', '>=', 'one.end_at')
        .orderBy('later.start_at')
        .limit(1)
        .as('end'),
    ])
    .where('one.job_id', '=', id)
    .where('one.end_at', '<', dialect.instant(last))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('piko_window as next')
            .select('next.id')
            .where('next.job_id', '=', id)
            .whereRef('next.start_at', '=', 'one.end_at'),
        ),
      ),
    )
    .orderBy('one.start_at')
    .limit(MAX_UNRUN)
    .execute()
  return [
    ...stretch(begin, first),
    ...gaps.flatMap((gap) => stretch(dialect.date(gap.start), optionalDate(gap.end, dialect))),
    ...stretch(last, cursor),
  ]
}

function stretch(start: Date | undefined, end: Date | undefined): Window[] {
  return start && end && start < end ? [{ start, end }] : []
}
