/** Runs that can't be claimed for now: of a job, or those of a job that share a key. */
export interface Blocked {
  readonly jobId: string
  readonly concurrencyKey?: string | undefined
  readonly rateKey?: string | undefined
  /** Those that this backfill drives; null: those that none drives. */
  readonly backfillId?: number | null | undefined
  /** When it makes sense to look again, where that is known. */
  readonly retryInMs?: number | undefined
}
