import type { Timeline, Window } from '../../time/window.ts'
import type { BackfillOnly, BackfillOrder } from '../../ledger/backfill.ts'
import type { WindowState } from '../tables.ts'

/** The next windows of a range. `cursor` is where to continue after them; undefined at the end of the range. */
export interface Planned {
  readonly windows: readonly Window[]
  readonly cursor: Date | undefined
}

/** Returns the next windows from the cursor on, in the order of the backfill. Pure. */
export function nextWindows(
  timeline: Timeline,
  { from, to, order }: { readonly from: Date; readonly to: Date; readonly order: BackfillOrder },
  cursor: Date,
  limit: number,
): Planned {
  const windows: Window[] = []
  let next = order === 'oldest' ? timeline.firstFrom(cursor) : timeline.latestBefore(cursor)
  while (next && next.start >= from && next.end <= to && windows.length < limit) {
    windows.push(next)
    next = order === 'oldest' ? timeline.windowFrom(next.end) : timeline.latestBefore(next.start)
  }
  const isOver = !next || next.start < from || next.end > to
  return { windows, cursor: isOver ? undefined : order === 'oldest' ? next?.start : next?.end }
}

/**
 * Whether a backfill runs a window. Pure.
 *
 * @param state the window's state in the ledger; undefined if it is not in the ledger
 */
export function isToRun(only: BackfillOnly, state: WindowState | undefined): boolean {
  switch (state) {
    case 'pending':
    case 'waiting':
      return false
    case undefined:
    case 'skipped':
    case 'cancelled':
    case 'stale':
      return only !== 'failed'
    case 'failed':
      return only !== 'missing'
    case 'succeeded':
      return only === 'all'
  }
}
