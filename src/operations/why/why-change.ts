/** A change that would reverse a rule's decision: the operation as in the audit, and its arguments. */
export interface WhyChange {
  readonly verb: string
  readonly jobId?: string
  readonly runId?: number
  readonly backfillId?: number
  readonly nodeId?: string
  /** The range of windows. */
  readonly from?: Date
  readonly to?: Date
}
