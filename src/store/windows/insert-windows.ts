import type { Kysely } from 'kysely'
import type { PackedWindow, WindowGroup } from '../../live/packed.ts'
import type { Window } from '../../time/window.ts'
import { note } from '../events/notes.ts'
import { bulkInsert, columnsOf, type Cell, NOW } from '../statements/bulk-insert.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables, WindowState } from '../tables.ts'

/** A window that is not in the ledger yet. */
export interface NewWindow {
  readonly jobId: string
  readonly window: Window
  readonly state: WindowState
  readonly runId?: number | undefined
  readonly backfillId?: number | undefined
}

const COLUMNS = ['job_id', 'start_at', 'end_at', 'state', 'run_id', 'backfill_id', 'updated_at'] as const

/** Inserts at most 1,000 windows in one statement. */
export async function insertWindows(
  db: Kysely<Tables>,
  dialect: Dialect,
  windows: readonly NewWindow[],
): Promise<void> {
  if (windows.length === 0) return
  const rows = windows.map(({ jobId, window, state, runId, backfillId }): Cell[] => [
    jobId,
    dialect.instant(window.start),
    dialect.instant(window.end),
    state,
    runId ?? null,
    backfillId ?? null,
    NOW,
  ])
  await db.executeQuery(bulkInsert(dialect, 'piko_window', columnsOf(COLUMNS, rows)))
  note(db, () => windowGroups(windows))
}

function windowGroups(windows: readonly NewWindow[]): WindowGroup[] {
  const byJob = Map.groupBy(windows, ({ jobId }) => jobId)
  return [...byJob].map(([jobId, some]) => ({
    jobId,
    windows: some.map(({ window, state, runId }): PackedWindow => {
      const [start, end] = [window.start.getTime(), window.end.getTime()]
      return runId === undefined ? [start, end, state] : [start, end, state, runId]
    }),
  }))
}
