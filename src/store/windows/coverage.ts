import type { Kysely } from 'kysely'
import type { Window } from '../../time/window.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Dialect } from '../connection/dialect.ts'
import { lastWindow } from './last-window.ts'
import type { Tables, WindowState } from '../tables.ts'
import { firstInState, type StartRange, startRanges, withoutNext } from './window-ranges.ts'

const NOT_COVERING: readonly WindowState[] = ['pending', 'failed', 'cancelled', 'skipped', 'waiting', 'stale']

/**
 * Returns the first instant of an interval that no succeeded window of a job covers. If the window around the start of the interval has not
 * succeeded, returns the start of that window. Undefined if all of the interval is covered. The windows need not have the bounds of the
 * interval.
 *
 * Windows of a job never overlap. So the interval is covered if three conditions hold. The window around its start has succeeded. Every
 * window that starts within it has succeeded. And each of these windows that ends before the interval does is followed by another one
 * without a gap.
 *
 * @param except windows that are treated as missing
 * @throws BrokenRow: the coverage of an unreadable window is unknown
 */
export async function firstHole(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  { start, end }: Window,
  except: readonly number[] = [],
): Promise<Date | undefined> {
  const around = await lastWindow(db, dialect, jobId, start, except)
  if (!around || dialect.date(around.end_at) <= start) return start
  if (around.state !== 'succeeded') return dialect.date(around.start_at)
  const range = { from: around.start_at, before: dialect.instant(end), except }
  const firstBad = await firstInState(db, dialect, jobId, NOT_COVERING, range)
  // Windows after the first one that has not succeeded no longer matter, even if some are missing.
  const before = firstBad ? dialect.instant(firstBad) : range.before
  return (await missingWithin(db, dialect, jobId, { ...range, before })) ?? firstBad
}

/** Returns the start of a range's first window that has not succeeded. */
export function firstOpen(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  range: StartRange,
): Promise<Date | undefined> {
  return firstInState(db, dialect, jobId, NOT_COVERING, range)
}

/** Returns the end of the first window in the range that is followed by a gap before the range ends. */
async function missingWithin(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  range: StartRange & { readonly before: Date | string },
): Promise<Date | undefined> {
  for await (const part of startRanges(db, dialect, jobId, range)) {
    const row = await withoutNext(db, jobId, part)
      .select(['one.id', 'one.job_id', 'one.end_at'])
      .where('one.end_at', '<', range.before)
      .orderBy('one.start_at')
      .limit(1)
      .executeTakeFirst()
    if (row) return dialect.date(assertSound(dialect, 'piko_window', row).end_at)
  }
  return undefined
}
