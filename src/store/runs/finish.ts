import { type Claim, type Transition } from '../../run/run.ts'

export interface FinishResult {
  /** Claims that were no longer valid; nothing was written for them. */
  readonly lost: readonly Claim[]
  /** Claims whose runs should have been queued again, but were cancelled because of a request. */
  readonly cancelled: readonly Claim[]
}

/** The end of a claim: what `settle` decided about it. */
export interface Finish {
  readonly claim: Claim
  readonly transition: Transition
}
