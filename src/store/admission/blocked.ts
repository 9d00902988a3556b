/** Runs that can't be claimed for now: all runs of a job, or only those with one key, of one backfill or without a backfill. */
export interface Blocked {
  readonly jobId: string
  readonly concurrencyKey?: string | undefined
  readonly rateKey?: string | undefined
  /** Selects only the runs of this backfill; null: only those without a backfill. */
  readonly backfillId?: number | null | undefined
  /** After how many milliseconds to query again, if known. */
  readonly retryInMs?: number | undefined
}
