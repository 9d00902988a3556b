/** After this many failures in a row, the circuit breaker of a lane opens. While it is open, no item of the lane begins. */
const FAILURES_IN_A_ROW = 10
/** How many of the last outcomes a breaker stores. It also opens if at least half of them are failures. */
const LAST = 20
/** How long a breaker stays open the first time. Each further time is twice as long, up to the maximum. */
const FIRST_OPEN_MS = 30_000
const LONGEST_OPEN_MS = 600_000

/** The stored state of a lane's breaker. Its instants are milliseconds on the database's clock. */
export interface BreakerState {
  /** The number of failures in a row. */
  readonly failures: number
  /** The last outcomes as bits; the newest is the lowest bit, and 1 is a failure. The highest 1 only marks how many outcomes there are. */
  readonly recent: number
  /** How many times the breaker has opened since its last 20 outcomes were all successes. */
  readonly opens: number
  /** When the breaker lets one item begin, as a test. Undefined: the breaker is closed. */
  readonly openUntil: number | undefined
}

export const CLOSED: BreakerState = { failures: 0, recent: 1, opens: 0, openUntil: undefined }

/** Whether the lane has had failures recently, so that its successes must be stored. */
export function isTroubled({ failures, recent, opens, openUntil }: BreakerState): boolean {
  return failures > 0 || opens > 0 || openUntil !== undefined || hasFailure(recent)
}

/** Returns the state after an item has ended. Ignores outcomes while the breaker is open, because those items began before it opened. */
export function afterOutcome(state: BreakerState, isSuccess: boolean, now: number): BreakerState {
  const isProbe = state.openUntil !== undefined && state.openUntil <= now
  if (state.openUntil !== undefined && !isProbe) return state
  if (isSuccess) {
    if (isProbe) return { ...CLOSED, opens: state.opens }
    const recent = pushed(state.recent, 0)
    // If all stored outcomes are successes, the next opening is as short as the first one again.
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

/**
 * Returns how many items of a lane may run at the same time on all nodes. After failures in a row, at most as many items may run as would
 * open the breaker if they also failed. After the breaker's pause, a single item may run, as a test. Pure.
 */
export function mostUnderWay({ failures, openUntil }: BreakerState): number {
  if (openUntil !== undefined) return 1
  return failures > 0 ? Math.max(1, FAILURES_IN_A_ROW - failures) : Infinity
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
