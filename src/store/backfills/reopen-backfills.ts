import type { Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { noteRows } from '../events/notes.ts'

/**
 * Locks the backfills that own the windows of these runs. Call this before locking the windows, because a step of a backfill uses the same
 * order.
 */
export async function lockBackfillsOf(
  trx: Transaction<Tables>,
  dialect: Dialect,
  runIds: readonly number[],
): Promise<void> {
  const rows = await trx
    .selectFrom('piko_window')
    .select('backfill_id')
    .distinct()
    .where('run_id', 'in', runIds)
    .where('backfill_id', 'is not', null)
    .execute()
  const ids = rows.flatMap(({ backfill_id }) => backfill_id ?? [])
  if (ids.length === 0) return
  await trx
    .selectFrom('piko_backfill')
    .select('id')
    .where('id', 'in', ids)
    .orderBy('id')
    .modifyEnd(dialect.forUpdate)
    .execute()
}

/**
 * Continues those of these backfills that have failed, because some of their windows are pending again. When these windows have ended, the
 * result is determined again.
 */
export async function reopenBackfills(
  trx: Transaction<Tables>,
  dialect: Dialect,
  ids: ReadonlySet<number>,
): Promise<void> {
  if (ids.size === 0) return
  await trx
    .updateTable('piko_backfill')
    .set({ state: 'running', active_since: dialect.now(), finished_at: null })
    .where('id', 'in', [...ids])
    .where('state', '=', 'failed')
    .execute()
  noteRows(trx, 'backfills', ids)
}
