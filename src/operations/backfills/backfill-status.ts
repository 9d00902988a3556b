import type { BackfillCounts } from '../../store/backfills/backfill-counts.ts'
import type { BackfillRow } from '../../store/backfills/backfill-row.ts'

/** A backfill with its progress. */
export interface BackfillStatus extends Omit<BackfillRow, 'cursor' | 'activeMs'>, BackfillCounts {
  /** How many windows need no more work: they have ended, or the backfill did not have to run them. */
  readonly done: number
  /**
   * How many windows ended per second while the backfill was running; pauses are not counted. Undefined until the first window has ended.
   */
  readonly ratePerSecond: number | undefined
  /** Milliseconds until the backfill ends at this rate. Undefined if it is not running, or if there is no rate yet. */
  readonly etaMs: number | undefined
}

/** Calculates the status of a backfill from its row. Pure. */
export function statusOf({ cursor: _, activeMs, ...row }: BackfillRow, counts: BackfillCounts): BackfillStatus {
  const ended = counts.succeeded + counts.failed + counts.cancelled
  const done = Math.min(row.total, ended + row.passed)
  const ratePerSecond = ended > 0 && activeMs > 0 ? (ended / activeMs) * 1_000 : undefined
  const isUnderWay = row.state === 'running' && ratePerSecond !== undefined
  const etaMs = isUnderWay ? Math.round(((row.total - done) / ratePerSecond) * 1_000) : undefined
  return { ...row, ...counts, done, ratePerSecond, etaMs }
}
