import type { Transaction } from 'kysely'
import { BATCH_ENDS } from '../../run/batch.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { lockBatch } from './batch-row.ts'
import { noteRows } from '../events/notes.ts'

/**
 * Reopens the slices of runs that are queued again, and the batches of these slices if they have ended.
 *
 * @param runIds runs whose rows the transaction has locked, ascending
 */
export async function reopenBatches(
  trx: Transaction<Tables>,
  dialect: Dialect,
  runIds: readonly number[],
): Promise<void> {
  const [first, last] = [runIds[0], runIds.at(-1)]
  if (first === undefined || last === undefined) return
  const rows = await trx
    .selectFrom('piko_batch_slice')
    .select(['first_id', 'last_id', 'id_step', 'batch_id'])
    .where('first_id', '<=', last)
    .where('last_id', '>=', first)
    .execute()
  const slices = rows.filter(({ first_id: from, last_id: to, id_step: step }) =>
    runIds.some((id) => id >= from && id <= to && (id - from) % step === 0),
  )
  const byBatch = Map.groupBy(slices, ({ batch_id }) => batch_id)
  for (const [id, own] of [...byBatch].sort(([one], [other]) => one - other)) {
    const batch = await lockBatch(trx, dialect, id)
    if (!batch) continue
    await trx
      .updateTable('piko_batch_slice')
      .set({ is_open: 1, succeeded: null, failed: null, cancelled: null })
      .where(
        'first_id',
        'in',
        own.map(({ first_id }) => first_id),
      )
      .execute()
    if (!BATCH_ENDS.some((end) => end === batch.state)) continue
    await trx.updateTable('piko_batch').set({ state: 'running', finished_at: null }).where('id', '=', id).execute()
    noteRows(trx, 'batches', [id])
  }
}
