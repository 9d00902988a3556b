import { type RawBuilder, type Selectable, sql, type Transaction } from 'kysely'
import type { RunError } from '../../run/run-error.ts'
import type { Dialect } from '../connection/dialect.ts'
import { noteRows } from '../events/notes.ts'
import { FENCE_FACTOR } from './fence.ts'
import { toJson } from '../../json/json.ts'
import type { Tables, WindowState, WindowTable } from '../tables.ts'

/** A run whose row the transaction has locked. */
interface LockedRun {
  readonly id: number
  readonly window_start: Date | string | null
}

/** How a run ends when something other than its handler ends it. */
export interface RunEnd {
  readonly state: 'cancelled' | 'failed'
  readonly error: RunError
  readonly cancel_requested_at?: RawBuilder<Date>
}

/** Ends runs without their handlers, together with the windows that they own. */
export async function endRuns(
  trx: Transaction<Tables>,
  dialect: Dialect,
  rows: readonly LockedRun[],
  { error, ...end }: RunEnd,
): Promise<void> {
  if (rows.length === 0) return
  await trx
    .updateTable('piko_run')
    .set({ ...end, error: toJson(error, 'error'), finished_at: dialect.now() })
    .where(
      'id',
      'in',
      rows.map((row) => row.id),
    )
    .execute()
  noteRows(
    trx,
    'runs',
    rows.map((row) => row.id),
  )
  const owners = rows.filter((row) => row.window_start !== null).map((row) => row.id)
  await settleWindowsOf(trx, dialect, owners, end.state)
}

/** Updates the windows of runs whose rows have just been written. */
export async function settleWindowsOf(
  trx: Transaction<Tables>,
  dialect: Dialect,
  runIds: readonly number[],
  state: WindowState,
): Promise<void> {
  if (runIds.length === 0) return
  await trx
    .updateTable(sql<Selectable<WindowTable>>`piko_window`.as<'own'>(sql`own${dialect.forceIndex('window_run')}`))
    .set({
      fence: sql<number>`run_id * ${sql.lit(FENCE_FACTOR)} + (SELECT claims FROM piko_run WHERE id = run_id)`,
      updated_at: dialect.now(),
      // If an upstream window began to run again before this run succeeded, this window becomes stale or runs again. MySQL assigns columns
      // from left to right, so `changed_to` is reset last.
      ...(state === 'succeeded'
        ? {
            state: sql<WindowState>`COALESCE(changed_to, 'succeeded')`,
            run_id: sql<number>`CASE WHEN changed_to = 'waiting' THEN NULL ELSE run_id END`,
          }
        : { state }),
      changed_to: null,
    })
    .where('run_id', 'in', runIds)
    .execute()
  noteRows(trx, 'windowsOf', runIds)
}
