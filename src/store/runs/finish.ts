import { type Claim, type Transition } from '../../run/run.ts'

export interface FinishResult {
  /** Claims that were no longer valid; nothing was written for them. */
  readonly lost: readonly Claim[]
  /** Claims whose runs were to be queued again, and were cancelled because somebody had asked for it. */
  readonly cancelled: readonly Claim[]
}

/** The end of a claim: what `settle` decided about it. */
export interface Finish {
  readonly claim: Claim
  readonly transition: Transition
}
