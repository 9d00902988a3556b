import type { Selectable, Transaction } from 'kysely'
import type { BatchState } from '../../run/batch.ts'
import type { Dialect } from '../connection/dialect.ts'
import { optionalDate } from '../runs/run-row.ts'
import type { BatchTable, Tables } from '../tables.ts'
import { assertSound } from '../values/broken-row.ts'
import { keyOf } from '../values/exact-key.ts'

export interface BatchRow {
  readonly id: number
  readonly jobId: string
  readonly key: string | undefined
  /** The SHA-256 of the items and options with which the batch was created. */
  readonly digest: string
  readonly state: BatchState
  /** The number of items. */
  readonly total: number
  /** The number of items whose runs are stored. */
  readonly stored: number
  /** The id of the job that runs once when all runs have ended. */
  readonly onDone: string | undefined
  /** The run of `onDone`. */
  readonly doneRunId: number | undefined
  readonly createdAt: Date
  /** When the batch ended. */
  readonly finishedAt: Date | undefined
}

/** Reads a batch and locks its row. @throws BrokenRow if it can't be read */
export async function lockBatch(trx: Transaction<Tables>, dialect: Dialect, id: number): Promise<BatchRow | undefined> {
  const row = await trx
    .selectFrom('piko_batch')
    .selectAll()
    .where('id', '=', id)
    .modifyEnd(dialect.forUpdate)
    .executeTakeFirst()
  return row && batchOf(row, dialect)
}

/** Reads a batch from its row. @throws BrokenRow if the row can't be read */
export function batchOf(row: Selectable<BatchTable>, dialect: Dialect): BatchRow {
  assertSound(dialect, 'piko_batch', row)
  return {
    id: row.id,
    jobId: row.job_id,
    key: row.batch_key === null ? undefined : keyOf(row.batch_key),
    digest: row.digest,
    state: row.state,
    total: row.total,
    stored: row.stored,
    onDone: row.on_done ?? undefined,
    doneRunId: row.done_run_id ?? undefined,
    createdAt: dialect.date(row.created_at),
    finishedAt: optionalDate(row.finished_at, dialect),
  }
}
