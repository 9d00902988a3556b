import { instantOf } from '../../time/instant.ts'
import type { WindowInput } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { lastWindow } from './last-window.ts'
import type { WindowState } from '../tables.ts'
import type { LedgerBounds } from './unrun.ts'

/** Adjacent windows in the same state. `'missing'` means that the ledger has no windows there. */
export interface LedgerSpan extends Window {
  readonly state: WindowState | 'missing'
  /** The number of windows, or 0 if they are missing. */
  readonly windows: number
}

export interface CoverageFilter {
  /**
   * The spans begin with the window that contains this instant. A day in the job's zone (`'2025-06-15'`) means its beginning. Default:
   * `windows.start`.
   */
  readonly from?: WindowInput
  /** Only windows that start before this instant or day. Default: all windows. */
  readonly to?: WindowInput
  /** The maximum number of spans to return, oldest first. Default: 100. */
  readonly limit?: number
}

type StoredWindow = Window & { readonly state: WindowState }

/**
 * The maximum number of windows that one read returns. So a ledger of millions of windows is never in memory as a whole, and no SQLite
 * statement blocks the event loop for long.
 */
const PAGE = 1_000

/**
 * Returns the covered and uncovered parts of a job's timeline, in as few spans as possible. Without `from` and `to`, the timeline reaches
 * from `windows.start` to the instant where planning continues.
 */
export async function ledgerSpans(
  database: Database,
  jobId: string,
  filter: CoverageFilter,
  { begin, cursor }: LedgerBounds,
  except: readonly number[],
): Promise<LedgerSpan[]> {
  const { limit = 100 } = filter
  const { from, to } = readRange(filter)
  const spans: LedgerSpan[] = []
  for await (const span of spansOf(windowsOf(database, jobId, { from, to }, except), from ?? begin, to ?? cursor)) {
    if (spans.length === limit) break
    spans.push(span)
  }
  return spans
}

export function readRange({ from, to }: { readonly from?: WindowInput; readonly to?: WindowInput }): {
  readonly from: Date | undefined
  readonly to: Date | undefined
} {
  return {
    from: from === undefined ? undefined : instantOf('from', from),
    to: to === undefined ? undefined : instantOf('to', to),
  }
}

/** Joins adjacent windows into spans. The windows must be in order. */
async function* spansOf(windows: AsyncIterable<StoredWindow>, from?: Date, to?: Date): AsyncGenerator<LedgerSpan> {
  let span: LedgerSpan | undefined
  for await (const { start, end, state } of windows) {
    if (span?.state === state && span.end.getTime() === start.getTime()) {
      span = { ...span, end, windows: span.windows + 1 }
      continue
    }
    if (span) yield span
    const before = span?.end ?? from
    if (before && before < start) yield missing(before, start)
    span = { start, end, state, windows: 1 }
  }
  if (span) yield span
  const last = span?.end ?? from
  if (last && to && last < to) yield missing(last, to)
}

function missing(start: Date, end: Date): LedgerSpan {
  return { start, end, state: 'missing', windows: 0 }
}

async function* windowsOf(
  { db, dialect }: Database,
  jobId: string,
  { from, to }: { readonly from: Date | undefined; readonly to: Date | undefined },
  except: readonly number[],
): AsyncGenerator<StoredWindow> {
  const windows = db
    .selectFrom('piko_window')
    .select(['id', 'start_at', 'end_at', 'state'])
    .where('job_id', '=', exactId(jobId))
    .$if(except.length > 0, (query) => query.where('id', 'not in', except))
  const around = from && (await lastWindow(db, dialect, jobId, from, except))
  let next = from && around && dialect.date(around.end_at) > from ? dialect.date(around.start_at) : from
  for (;;) {
    let page = windows.orderBy('start_at').limit(PAGE)
    if (next) page = page.where('start_at', '>=', dialect.instant(next))
    if (to) page = page.where('start_at', '<', dialect.instant(to))
    const rows = await page.execute()
    for (const row of rows) {
      assertSound(dialect, 'piko_window', row)
      next = dialect.date(row.end_at)
      yield { start: dialect.date(row.start_at), end: next, state: row.state }
    }
    if (rows.length < PAGE) return
  }
}
