import { type BackfillCounts } from '../store/backfills/backfill-counts.ts'
import { type BackfillRow } from '../store/backfills/backfill-row.ts'

/** A backfill with its progress. */
export interface BackfillStatus extends Omit<BackfillRow, 'cursor' | 'activeMs'>, BackfillCounts {
  /** Windows that need nothing more: those that have ended and those that were left as they are. */
  readonly done: number
  /** Windows that ended a second while it was under way, pauses left out; undefined before the first. */
  readonly ratePerSecond: number | undefined
  /** Milliseconds until it is done at that rate; undefined where nothing can be said. */
  readonly etaMs: number | undefined
}

/** Pure. */
export function statusOf({ cursor: _, activeMs, ...row }: BackfillRow, counts: BackfillCounts): BackfillStatus {
  const ended = counts.succeeded + counts.failed + counts.cancelled
  const done = Math.min(row.total, ended + row.passed)
  const ratePerSecond = ended > 0 && activeMs > 0 ? (ended / activeMs) * 1_000 : undefined
  const isUnderWay = row.state === 'running' && ratePerSecond !== undefined
  const etaMs = isUnderWay ? Math.round(((row.total - done) / ratePerSecond) * 1_000) : undefined
  return { ...row, ...counts, done, ratePerSecond, etaMs }
}
