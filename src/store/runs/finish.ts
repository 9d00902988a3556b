import type { Claim, Transition } from '../../run/run.ts'

export interface FinishResult {
  /** Claims that were no longer valid. Nothing was written for them. */
  readonly lost: readonly Claim[]
  /** Claims whose runs were cancelled instead of queued again, because of a cancel request. */
  readonly cancelled: readonly Claim[]
  /** Claims whose runs were queued again instead of ended, because some of their items are queued again. */
  readonly reopened?: readonly Claim[]
}

/** How a claim ends, as `settle` decided. */
export interface Finish {
  readonly claim: Claim
  readonly transition: Transition
  /** The version of the job's config that the attempt used. */
  readonly configVersion?: number | undefined
  /** The generation of the run's items. Set if the run ends because none of them is queued or running. */
  readonly idleItems?: number | undefined
}
