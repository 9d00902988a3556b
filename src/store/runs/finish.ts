import type { Claim, Transition } from '../../run/run.ts'

export interface FinishResult {
  /** Claims that were no longer valid; nothing was written for them. */
  readonly lost: readonly Claim[]
  /** Claims whose runs were cancelled instead of queued again, because of a cancel request. */
  readonly cancelled: readonly Claim[]
}

/** How a claim ends, as `settle` decided. */
export interface Finish {
  readonly claim: Claim
  readonly transition: Transition
  /** The version of the job's config that the attempt used. */
  readonly configVersion?: number | undefined
}
