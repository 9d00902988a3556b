import type { Selectable, Transaction } from 'kysely'
import { PikoError } from '../../errors.ts'
import { isBatchEnd } from '../../run/batch.ts'
import type { Database } from '../connection/database.ts'
import { noteRows } from '../events/notes.ts'
import type { BatchSliceTable, Tables } from '../tables.ts'
import { type BatchRow, lockBatch } from './batch-row.ts'
import { hasRun, sliceOf, slicesAround, statesOf } from './slices.ts'

/** A run that is queued again, and the state in which it had ended. */
export interface ReplayedRun {
  readonly id: number
  readonly state: 'failed' | 'cancelled'
}

type SliceRow = Selectable<BatchSliceTable>

/**
 * Reopens the slices of runs that are queued again, and the batches of these slices if they have ended.
 *
 * @param runs runs whose rows the transaction has locked and queued, by ascending id
 * @returns the batches that had ended and are running again
 * @throws PikoError `BATCH_CANCELLED` if one of the batches is being cancelled, because the cancel would stop these runs again
 */
export async function reopenBatches(
  trx: Transaction<Tables>,
  database: Pick<Database, 'dialect'>,
  runs: readonly ReplayedRun[],
): Promise<readonly BatchRow[]> {
  const ids = runs.map(({ id }) => id)
  const slices = await slicesAround(trx, ids).selectAll().execute()
  const byBatch = Map.groupBy(
    slices.filter((row) => ids.some((id) => hasRun(row, id))),
    ({ batch_id }) => batch_id,
  )
  const reopened: BatchRow[] = []
  for (const [id, found] of [...byBatch].sort(([one], [other]) => one - other)) {
    const batch = await lockBatch(trx, database.dialect, id)
    if (!batch) continue
    if (batch.state === 'cancelling')
      throw beingCancelled(
        batch,
        ids.filter((run) => found.some((row) => hasRun(row, run))),
      )
    // The slices may have changed before this transaction locked the batch.
    const firstIds = found.map(({ first_id }) => first_id)
    const own = await trx.selectFrom('piko_batch_slice').selectAll().where('first_id', 'in', firstIds).execute()
    for (const row of own) if (row.is_open === 0) await reopen(trx, database, row, runs)
    if (!isBatchEnd(batch.state)) continue
    await trx.updateTable('piko_batch').set({ state: 'running', finished_at: null }).where('id', '=', id).execute()
    noteRows(trx, 'batches', [id])
    reopened.push({ ...batch, state: 'running', finishedAt: undefined })
  }
  return reopened
}

/** Opens a slice. The counts of its deleted runs stay. */
async function reopen(
  trx: Transaction<Tables>,
  database: Pick<Database, 'dialect'>,
  row: SliceRow,
  runs: readonly ReplayedRun[],
): Promise<void> {
  const present = await statesOf(database, trx, sliceOf(row))
  const isComplete = [...present.values()].reduce((sum, count) => sum + count, 0) >= row.size
  const own = runs.filter(({ id }) => hasRun(row, id))
  const deleted = (state: 'succeeded' | 'failed' | 'cancelled'): number | null => {
    if (isComplete) return null
    const replayed = own.filter((run) => run.state === state).length
    return Math.max(0, (row[state] ?? 0) - (present.get(state) ?? 0) - replayed)
  }
  await trx
    .updateTable('piko_batch_slice')
    .set({
      is_open: 1,
      succeeded: deleted('succeeded'),
      failed: deleted('failed'),
      cancelled: deleted('cancelled'),
    })
    .where('first_id', '=', row.first_id)
    .execute()
}

/**
 * Returns the error for a replay in a batch that is being cancelled.
 *
 * @param runIds the runs that stay unchanged because of it
 */
export function beingCancelled(
  { id, jobId }: Pick<BatchRow, 'id' | 'jobId'>,
  runIds: readonly number[] = [],
): PikoError {
  return new PikoError(
    'BATCH_CANCELLED',
    `batch ${id} of job "${jobId}" is being cancelled, so its runs can't be replayed now; wait until it has ended (piko batches wait ${id}), then replay them`,
    { details: { batchId: id, jobId, state: 'cancelling', runIds } },
  )
}
