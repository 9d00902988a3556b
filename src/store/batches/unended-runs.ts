import type { Transaction } from 'kysely'
import { isBatchEnd } from '../../run/batch.ts'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'
import { hasRun, slicesAround } from './slices.ts'

/**
 * Returns those of the runs whose batch has not ended. They must not be deleted, because the batch still needs their results.
 *
 * @param runIds ascending ids. In a transaction, the runs are locked; then their batches are locked too, so none of them is replayed
 */
export async function runsOfUnendedBatches(
  database: Pick<Database, 'db' | 'dialect'>,
  runIds: readonly number[],
  trx?: Transaction<Tables>,
): Promise<ReadonlySet<number>> {
  if (runIds.length === 0) return new Set()
  const db = trx ?? database.db
  const rows = await slicesAround(db, runIds).select(['first_id', 'last_id', 'id_step', 'batch_id']).execute()
  const byRun = new Map<number, number>()
  for (const id of runIds) {
    const slice = rows.find((row) => hasRun(row, id))
    if (slice) byRun.set(id, slice.batch_id)
  }
  if (byRun.size === 0) return new Set()
  const batches = await db
    .selectFrom('piko_batch')
    .select(['id', 'state'])
    .where('id', 'in', [...new Set(byRun.values())])
    .orderBy('id')
    .$if(trx !== undefined, (query) => query.modifyEnd(database.dialect.forUpdate))
    .execute()
  const unended = new Set(batches.filter(({ state }) => !isBatchEnd(state)).map(({ id }) => id))
  return new Set(runIds.filter((id) => unended.has(byRun.get(id) ?? 0)))
}
