import { type EndedState } from '../run/run.ts'
import { type ReplayFilter } from '../store/runs/replay-store.ts'
import { type Duration } from '../time/duration.ts'
import { type InstantInput } from '../time/instant.ts'
import { type BackfillStatus } from './backfill-status.ts'

/** Which runs to replay. */
export interface ReplayOptions extends ReplayFilter {
  /** Only count them. Default false. */
  readonly dryRun?: boolean
}

/** Which ended runs to delete. */
export interface PruneOptions {
  /** Ended before this time. */
  readonly olderThan: Duration
  /** Default: `'succeeded'`, `'failed'`, `'cancelled'` and `'skipped'`. */
  readonly states?: readonly EndedState[]
  readonly jobId?: string | undefined
  /** Only count them. Default false. */
  readonly dryRun?: boolean
}

/** Which ticks of a schedule to show. */
export interface PreviewOptions {
  /** The first tick at or after this instant. Default: now, on this process's clock. */
  readonly from?: InstantInput
  /** Ticks at most. Default 10. */
  readonly count?: number
}

/** How to wait for a backfill. */
export interface BackfillWait {
  /** Ends the waiting, not the backfill. */
  readonly signal?: AbortSignal
  /** Gets the status again and again, the last one too. */
  readonly onProgress?: (status: BackfillStatus) => void
}

/** Which held locks to list. */
export interface LockFilter {
  /** Default 100. */
  readonly limit?: number
}
