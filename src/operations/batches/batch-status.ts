import type { BatchCounts, BatchDurations, BatchFailure } from '../../run/batch.ts'
import { isBatchEnd } from '../../run/batch.ts'
import type { BatchRow } from '../../store/batches/batch-row.ts'

/** A batch with its progress. */
export interface BatchStatus extends BatchRow, BatchCounts {
  /** How many runs have ended. */
  readonly done: number
  /** How many runs ended per second since the batch was created; undefined until the first run has ended. */
  readonly ratePerSecond: number | undefined
  /** Milliseconds until all runs have ended at this rate. Undefined if the batch has ended, or if there is no rate yet. */
  readonly etaMs: number | undefined
}

/** A batch with its progress and the results of its runs. */
export interface BatchReport extends BatchStatus {
  /** How long the succeeded and failed runs took; undefined if there are none. */
  readonly durations: BatchDurations | undefined
  /** The failed runs by error, the most frequent first. */
  readonly failures: readonly BatchFailure[]
}

/** Calculates the status of a batch from its row. Pure. */
export function batchStatus(row: BatchRow, counts: BatchCounts, now: Date): BatchStatus {
  const done = counts.succeeded + counts.failed + counts.cancelled + counts.deleted
  const elapsedMs = (row.finishedAt ?? now).getTime() - row.createdAt.getTime()
  const ratePerSecond = done > 0 && elapsedMs > 0 ? (done / elapsedMs) * 1_000 : undefined
  const isUnderWay = !isBatchEnd(row.state) && ratePerSecond !== undefined
  const etaMs = isUnderWay ? Math.round((Math.max(0, row.total - done) / ratePerSecond) * 1_000) : undefined
  return { ...row, ...counts, done, ratePerSecond, etaMs }
}
