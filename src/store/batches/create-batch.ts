import { sql } from 'kysely'
import { isPikoError } from '../../errors.ts'
import type { Database } from '../connection/database.ts'
import { insertRuns, type NewRow, statementsOf } from '../runs/insert-rows.ts'
import { type NewRun, newRow } from '../runs/new-run.ts'
import { exactKey } from '../values/exact-key.ts'
import { type BatchRow, batchOf, lockBatch } from './batch-row.ts'
import { slicesOf } from './slices.ts'
import { noteRows } from '../events/notes.ts'
import { insertedId } from '../statements/inserted-id.ts'

export interface NewBatch {
  readonly jobId: string
  readonly key: string | undefined
  readonly digest: string
  readonly total: number
  readonly onDone: string | undefined
}

/** The maximum number of runs that one transaction stores. The number is small, because claims skip the rows that the transaction locks. */
const MAX_SLICE = 1_000

/** Creates the batch. If the job already has one with the same key, returns that one. */
export async function openBatch(database: Database, batch: NewBatch): Promise<BatchRow> {
  const { dialect, transaction } = database
  const key = batch.key === undefined ? null : exactKey(batch.key)
  return transaction(async (trx) => {
    const insert = trx.insertInto('piko_batch').values({
      job_id: batch.jobId,
      batch_key: key,
      digest: batch.digest,
      state: 'creating',
      total: batch.total,
      on_done: batch.onDone ?? null,
      created_at: dialect.now(),
    })
    let id: number | undefined
    if (key === null) {
      id = await insertedId(dialect, insert.returning('id'))
    } else if (dialect.name === 'sqlite') await insert.onConflict((oc) => oc.doNothing()).execute()
    // Unlike INSERT IGNORE, this locks an existing row for writing in one step.
    else await insert.onDuplicateKeyUpdate({ id: sql<number>`id` }).execute()
    const row = await trx
      .selectFrom('piko_batch')
      .selectAll()
      .$if(id !== undefined, (query) => query.where('id', '=', id as number))
      .$if(id === undefined, (query) => query.where('job_id', '=', batch.jobId).where('batch_key', '=', key))
      .modifyEnd(dialect.forUpdate)
      .executeTakeFirstOrThrow()
    return batchOf(row, dialect)
  })
}

/** Called with the runs that a transaction has stored. */
export type OnStored = (runs: readonly NewRun[]) => void

/**
 * Stores the runs of a batch in parts. Each part is one transaction that also updates the number of stored items in the batch's row. So a
 * call after a crash continues with the next part, and two processes that create the same batch take turns. The last part makes the batch
 * `running`.
 *
 * @returns the batch: `running`, or a later state
 */
export async function storeItems(
  database: Database,
  opened: BatchRow,
  runs: readonly NewRun[],
  onStored: OnStored,
): Promise<BatchRow> {
  let batch = opened
  while (batch.state === 'creating') {
    try {
      const added = await addSlice(database, batch.id, runs)
      if (!added) return batch
      batch = added.batch
      if (added.runs.length > 0) onStored(added.runs)
    } catch (thrown) {
      // The next transaction waits for the lock on the batch's row, and then sees whether this one was committed.
      if (!isPikoError(thrown, 'COMMIT_UNKNOWN')) throw thrown
    }
  }
  return batch
}

async function addSlice(
  { dialect, transaction }: Database,
  id: number,
  runs: readonly NewRun[],
): Promise<{ readonly batch: BatchRow; readonly runs: readonly NewRun[] } | undefined> {
  return transaction(async (trx) => {
    const batch = await lockBatch(trx, dialect, id)
    if (!batch) return undefined
    if (batch.state !== 'creating') return { batch, runs: [] }
    const rows = runs.slice(batch.stored, batch.stored + MAX_SLICE).map((run) => newRow(dialect, run))
    const [part = []] = statementsOf(dialect, rows, (row: NewRow) => row)
    let fromItem = batch.stored
    for (const { firstId, lastId, step, size } of slicesOf(await insertRuns(trx, dialect, part))) {
      await trx
        .insertInto('piko_batch_slice')
        .values({
          ...{ first_id: firstId, last_id: lastId, id_step: step, size },
          ...{ batch_id: id, from_item: fromItem },
        })
        .execute()
      fromItem += size
    }
    const state = fromItem >= batch.total ? 'running' : 'creating'
    await trx.updateTable('piko_batch').set({ stored: fromItem, state }).where('id', '=', id).execute()
    if (state === 'running') noteRows(trx, 'batches', [id])
    return { batch: { ...batch, state, stored: fromItem }, runs: runs.slice(batch.stored, fromItem) }
  })
}
