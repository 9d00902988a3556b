/** A breaker opens after this many failures in a row. */
const FAILURES_IN_A_ROW = 10
/** It also opens if half of this many last outcomes are failures. */
const LAST = 20
const FIRST_OPEN_MS = 30_000
const LONGEST_OPEN_MS = 600_000

/** What the store keeps of a lane's breaker. Instants are milliseconds of the database's clock. */
export interface BreakerState {
  /** Failures in a row. */
  readonly failures: number
  /** The last outcomes as bits, the newest lowest; 1 is a failure. The highest set bit marks how many there are. */
  readonly recent: number
  /** How often it has opened since it last worked. */
  readonly opens: number
  /** Until then no item of the lane begins; then one does. Undefined: closed. */
  readonly openUntil: number | undefined
}

export const CLOSED: BreakerState = { failures: 0, recent: 1, opens: 0, openUntil: undefined }

/** Whether the breaker has anything to forget, so that a success must be stored. */
export function isTroubled({ failures, recent, opens, openUntil }: BreakerState): boolean {
  return failures > 0 || opens > 0 || openUntil !== undefined || hasFailure(recent)
}

/** The state after an outcome of an item. Failures while it is open belong to items that had begun before. */
export function afterOutcome(state: BreakerState, isSuccess: boolean, now: number): BreakerState {
  const isProbe = state.openUntil !== undefined && state.openUntil <= now
  if (state.openUntil !== undefined && !isProbe) return state
  if (isSuccess) {
    if (isProbe) return { ...CLOSED, opens: state.opens }
    const recent = pushed(state.recent, 0)
    // The next opening is as short as the first once nothing has failed for a while.
    return {
      failures: 0,
      recent,
      opens: hasFailure(recent) ? state.opens : afterRest(state, recent),
      openUntil: undefined,
    }
  }
  const failures = state.failures + 1
  const recent = pushed(state.recent, 1)
  const opensNow = isProbe || failures >= FAILURES_IN_A_ROW || (isFull(recent) && failuresIn(recent) * 2 >= LAST)
  if (!opensNow) return { failures, recent, opens: state.opens, openUntil: undefined }
  const openMs = Math.min(LONGEST_OPEN_MS, FIRST_OPEN_MS * 2 ** Math.min(state.opens, 20))
  return { failures: 0, recent: 1, opens: state.opens + 1, openUntil: now + openMs }
}

function afterRest(state: BreakerState, recent: number): number {
  return isFull(recent) ? 0 : state.opens
}

function pushed(recent: number, bit: 0 | 1): number {
  const next = recent * 2 + bit
  return isFull(recent) ? (next % 2 ** LAST) + 2 ** LAST : next
}

function isFull(recent: number): boolean {
  return recent >= 2 ** LAST
}

function hasFailure(recent: number): boolean {
  return failuresIn(recent) > 0
}

function failuresIn(recent: number): number {
  let count = -1
  for (let rest = recent; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return Math.max(0, count)
}
