/** Runs that can't be claimed for now: those of a job, or those of a job that share a key. */
export interface Blocked {
  readonly jobId: string
  readonly concurrencyKey?: string | undefined
  readonly rateKey?: string | undefined
  /** Selects only the runs of this backfill; null: only those without a backfill. */
  readonly backfillId?: number | null | undefined
  /** In how many milliseconds to query again, if known. */
  readonly retryInMs?: number | undefined
}
