import { type BatchCounts, type BatchEnd, batchEnd } from '../../run/batch.ts'
import type { Database } from '../connection/database.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { type NewRun, newRow } from '../runs/new-run.ts'
import { type BatchRow, lockBatch } from './batch-row.ts'
import { runsOfSlice, sliceOf, statesOf } from './slices.ts'
import { slicesForCounts, Tally } from './tally.ts'
import { noteRows } from '../events/notes.ts'

/** Creates the run of a batch's `onDone` job; undefined if the batch has none; `'left'` if another node should end the batch. */
export type DoneRun = (batch: BatchRow, counts: BatchCounts, state: BatchEnd) => NewRun | 'left' | undefined

export interface BatchStep {
  /** The state in which this step has ended the batch; undefined if the batch has not ended. */
  readonly ended: BatchEnd | undefined
  /** The batch's `onDone` run. It may be older than this end. */
  readonly doneRunId: number | undefined
  /** Whether this step has stored the `onDone` run. */
  readonly isDoneStored: boolean
  /** Whether another call could do more immediately. */
  readonly isMore: boolean
  /** Whether the batch is ready to end, and the end was left to another node. */
  readonly isLeft: boolean
}

/** The maximum number of slices in one transaction. */
const MAX_SLICES = 20
const NOTHING: BatchStep = {
  ended: undefined,
  doneRunId: undefined,
  isDoneStored: false,
  isMore: false,
  isLeft: false,
}

/**
 * Closes those slices of a batch whose runs have all ended, oldest first, and ends the batch after the last one. Stores its `onDone` run in
 * the same transaction, while the batch's row is locked. So that run exists exactly once, even if several processes call this or die. Stops
 * at the first slice with a run that has not ended, so that a call costs little while a batch runs.
 */
export async function settleBatch(database: Database, id: number, doneRun: DoneRun): Promise<BatchStep> {
  const { dialect } = database
  if (await isUnderWay(database, id)) return NOTHING
  return database.transaction(async (trx) => {
    const batch = await lockBatch(trx, dialect, id)
    if (batch?.state !== 'running' && batch?.state !== 'cancelling') return NOTHING
    const open = await trx
      .selectFrom('piko_batch_slice')
      .selectAll()
      .where('batch_id', '=', id)
      .where('is_open', '=', 1)
      .orderBy('first_id')
      .limit(MAX_SLICES)
      .execute()
    for (const row of open) {
      const states = await statesOf(database, trx, sliceOf(row))
      if (states.has('queued') || states.has('running')) return NOTHING
      await trx
        .updateTable('piko_batch_slice')
        .set({
          is_open: 0,
          succeeded: (row.succeeded ?? 0) + (states.get('succeeded') ?? 0),
          failed: (row.failed ?? 0) + (states.get('failed') ?? 0),
          cancelled: (row.cancelled ?? 0) + (states.get('cancelled') ?? 0),
        })
        .where('first_id', '=', row.first_id)
        .execute()
    }
    if (open.length === MAX_SLICES) return { ...NOTHING, isMore: true }
    const tally = new Tally()
    for (const row of await slicesForCounts(trx, id)) tally.add(row)
    const { counts } = tally
    const ended = batchEnd(batch, counts)
    // After a replay, the batch ends again, but its onDone run already exists.
    const run = batch.doneRunId === undefined ? doneRun(batch, counts, ended) : undefined
    if (run === 'left') return { ...NOTHING, isLeft: true }
    const [doneRunId] = run ? await insertRuns(trx, dialect, [newRow(dialect, run)]) : []
    await trx
      .updateTable('piko_batch')
      .set({
        state: ended,
        finished_at: dialect.now(),
        ...(doneRunId !== undefined && { done_run_id: doneRunId }),
      })
      .where('id', '=', id)
      .execute()
    noteRows(trx, 'batches', [id])
    return { ...NOTHING, ended, doneRunId: doneRunId ?? batch.doneRunId, isDoneStored: doneRunId !== undefined }
  })
}

/** Whether the first open slice has a run that has not ended. Reads without a transaction, because the answer is usually yes. */
async function isUnderWay(database: Database, id: number): Promise<boolean> {
  const { db } = database
  const first = await db
    .selectFrom('piko_batch_slice')
    .select(['first_id', 'last_id', 'id_step', 'size'])
    .where('batch_id', '=', id)
    .where('is_open', '=', 1)
    .orderBy('first_id')
    .limit(1)
    .executeTakeFirst()
  if (!first) return false
  const run = await runsOfSlice(database, db, sliceOf(first))
    .select('piko_run.id')
    .where('piko_run.state', 'in', ['queued', 'running'])
    .limit(1)
    .executeTakeFirst()
  return run !== undefined
}
