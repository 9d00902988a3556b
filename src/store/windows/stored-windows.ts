import type { Kysely } from 'kysely'
import type { Window } from '../../time/window.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Dialect } from '../connection/dialect.ts'
import { lastWindow } from './last-window.ts'
import { readExtreme } from '../values/read-extreme.ts'
import type { Tables } from '../tables.ts'

/** Consecutive windows of a job's ledger. None between them is left out. */
export interface StoredWindows {
  /** The windows, oldest first. */
  readonly windows: readonly Window[]
  /**
   * The instant beyond which windows are unknown: later ones for `windowsFrom`, earlier ones for `windowsBefore`. Undefined: the ledger has
   * no further window in this direction.
   */
  readonly until: Date | undefined
}

const MAX_WINDOWS = 1_000

/** Returns the last window that starts at or before an instant, and the windows after it. */
export async function windowsFrom(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  from: Date,
  limit = MAX_WINDOWS,
): Promise<StoredWindows> {
  const around = await lastWindow(db, dialect, jobId, from)
  const rows = await db
    .selectFrom('piko_window')
    .select(['id', 'job_id', 'start_at', 'end_at'])
    .where('job_id', '=', jobId)
    .where('start_at', '>', dialect.instant(from))
    .orderBy('start_at')
    .limit(limit)
    .execute()
  const windows = (around ? [around, ...rows] : rows).map((row) => windowOf(row, dialect))
  return { windows, until: rows.length === limit ? windows.at(-1)?.end : undefined }
}

/**
 * Returns the last windows that start before an instant, and the first window that starts at or after it. That window shows where a gap
 * before it ends.
 */
export async function windowsBefore(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  before: Date,
  limit = MAX_WINDOWS,
): Promise<StoredWindows> {
  const rows = await db
    .selectFrom('piko_window')
    .select(['id', 'job_id', 'start_at', 'end_at'])
    .where('job_id', '=', jobId)
    .where('start_at', '<', dialect.instant(before))
    .orderBy('start_at', 'desc')
    .limit(limit)
    .execute()
  const windows = rows.map((row) => windowOf(row, dialect)).toReversed()
  const next = await db
    .selectFrom('piko_window')
    .select(['id', 'job_id', 'start_at', 'end_at'])
    .where('job_id', '=', jobId)
    .where('start_at', '>=', dialect.instant(before))
    .orderBy('start_at')
    .limit(1)
    .executeTakeFirst()
  if (next) windows.push(windowOf(next, dialect))
  return { windows, until: rows.length === limit ? windows[0]?.start : undefined }
}

/**
 * Returns the jobs' windows from their cursors on, for jobs with windows that backfills have created there. Nearly all jobs have none.
 * Needs one statement, and a few more per job with such windows.
 */
export async function windowsBeyond(
  db: Kysely<Tables>,
  dialect: Dialect,
  cursors: ReadonlyMap<string, Date>,
): Promise<Map<string, StoredWindows>> {
  const beyond = new Map<string, StoredWindows>()
  if (cursors.size === 0) return beyond
  const rows = await db
    .selectFrom('piko_job')
    .select((eb) => [
      'piko_job.id',
      eb
        .selectFrom('piko_window')
        .select('piko_window.end_at')
        .whereRef('piko_window.job_id', '=', 'piko_job.id')
        .orderBy('piko_window.start_at', 'desc')
        .limit(1)
        .as('end_at'),
    ])
    .where('piko_job.id', 'in', [...cursors.keys()])
    .execute()
  for (const { id, end_at } of rows) {
    const end = await readExtreme(db, dialect, id, 'end_at', end_at)
    const cursor = cursors.get(id)
    if (end && cursor && end > cursor) beyond.set(id, await windowsFrom(db, dialect, id, cursor))
  }
  return beyond
}

/** Returns the window of a row. @throws BrokenRow if the row can't be read, because the position of other windows would then be unknown */
function windowOf(row: { id: number; start_at: Date | string; end_at: Date | string }, dialect: Dialect): Window {
  assertSound(dialect, 'piko_window', row)
  return { start: dialect.date(row.start_at), end: dialect.date(row.end_at) }
}
