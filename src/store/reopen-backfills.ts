import { type Transaction } from 'kysely'
import { type Dialect } from './dialect.ts'
import { type Tables } from './tables.ts'

/** Failed backfills whose windows are pending again go on: they end anew when these have ended, by what became of them. */
export async function reopenBackfills(
  trx: Transaction<Tables>,
  dialect: Dialect,
  windowIds: readonly number[],
): Promise<void> {
  const rows = await trx
    .selectFrom('piko_window')
    .select('backfill_id')
    .distinct()
    .where('id', 'in', windowIds)
    .where('backfill_id', 'is not', null)
    .execute()
  const ids = rows.flatMap(({ backfill_id }) => backfill_id ?? []).toSorted((a, b) => a - b)
  if (ids.length === 0) return
  await trx
    .updateTable('piko_backfill')
    .set({ state: 'running', active_since: dialect.now(), finished_at: null })
    .where('id', 'in', ids)
    .where('state', '=', 'failed')
    .execute()
}
