import type { PikoError } from '../../errors.ts'
import type { Claim } from '../../run/run.ts'
import type { LiveAttempt } from '../attempt/live-attempt.ts'

/** Who claimed a run and must be notified about it. */
export interface ClaimSource {
  /** Called when a handler has ended and there may be room for more claims. The outcome of its run is not stored yet. */
  onFree(): void
  /** Called when the claim is over: its outcome is stored, or the claim is lost. */
  onEnded(claim: Claim): void
  /** Called when the claim has returned to the queue without an attempt. */
  onGivenBack(claim: Claim): void
}

/** A claim that is waiting or running, or whose outcome is being stored. */
export interface Taken {
  readonly claim: Claim
  readonly nodeId: string
  readonly source: ClaimSource
  /** When this process got the claim, in milliseconds since the epoch. */
  readonly takenAt: number
  attempt: LiveAttempt | undefined
  /** Why the claim must not begin; undefined if it may. */
  reason: PikoError | undefined
}

/** Aborts the attempt, or prevents it from beginning. */
export function abortTaken(taken: Taken, reason: PikoError): void {
  const { attempt } = taken
  if (!attempt) taken.reason ??= reason
  else if (!attempt.isOver) attempt.abort(reason)
}
