import { settleFailure } from '../../item/settle-item.ts'
import type { Outcome } from '../../run/run.ts'
import { runError } from '../../run/run-error.ts'
import type { ItemEnd } from '../../store/items/end-items.ts'
import type { LaneOutcome } from '../../store/items/settle-lanes.ts'
import { type ItemAttempt, ItemLeave } from './item-attempt.ts'

/** What to store for the outcome of an item's function. */
export interface DecidedEnd {
  readonly end: ItemEnd
  readonly lane: LaneOutcome | undefined
}

export interface DecisionParts {
  readonly random: number
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Whether the lane was slowed down or has failures. Then a success must be stored. */
  readonly isTroubled: boolean
}

/** Decides how an item ends and how this affects its lane. Pure. */
export function endOf(attempt: ItemAttempt, outcome: Outcome, parts: DecisionParts): DecidedEnd {
  const laneId = attempt.item.lane.id
  switch (outcome.kind) {
    case 'success':
      return {
        end: { to: 'done' },
        lane: parts.isTroubled ? { laneId, outcome: 'success', waitMs: undefined } : undefined,
      }
    case 'cancelled':
      return { end: { to: 'cancelled' }, lane: undefined }
    case 'interrupted':
    case 'waiting':
      return { end: { to: 'queued', delayMs: 0 }, lane: undefined }
    case 'failure':
    case 'timeout':
      return failedEnd(attempt, outcome.error, parts)
  }
}

function failedEnd(attempt: ItemAttempt, error: Error, { random, now }: DecisionParts): DecidedEnd {
  const { kind, countedTries, item } = attempt
  // After a pause by its circuit breaker, a lane is tried with a single item. Any response closes the breaker, unless the breaker counts it
  // as a failure.
  const answered: LaneOutcome | undefined =
    item.lane.breaker.openUntil === undefined
      ? undefined
      : { laneId: item.lane.id, outcome: 'success', waitMs: undefined }
  if (error instanceof ItemLeave) {
    const { how } = error
    return 'skip' in how
      ? { end: { to: 'skipped', reason: how.skip }, lane: answered }
      : { end: { to: 'queued', delayMs: how.laterMs }, lane: undefined }
  }
  const failure = settleFailure(error, countedTries, kind.budgets, random, now)
  const text = JSON.stringify(runError(error))
  const triesText = JSON.stringify(failure.tries)
  // If the attempt has made progress, the lane did respond.
  const isFailureOfLane = failure.breaker && attempt.isOfLane && !attempt.hasProgressed
  const isOfLane = isFailureOfLane || failure.laneWaitMs !== undefined
  return {
    end:
      failure.delayMs === undefined
        ? { to: 'dead', reason: failure.class.slice(0, 255), error: text, tries: triesText }
        : { to: 'queued', delayMs: failure.delayMs, tries: triesText, error: text },
    lane: isOfLane
      ? { laneId: item.lane.id, outcome: isFailureOfLane ? 'failure' : 'neutral', waitMs: failure.laneWaitMs }
      : attempt.isOfLane
        ? answered
        : undefined,
  }
}
