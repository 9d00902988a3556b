/** The circuit breaker of a lane opens after this many failures in a row. While it is open, no item of the lane begins. */
const FAILURES_IN_A_ROW = 10
/** A breaker stores this many of the last outcomes. It also opens if at least half of them are failures. */
const LAST = 20
/** How long a breaker stays open. Each time, it stays open twice as long as the previous time, up to the maximum. */
const FIRST_OPEN_MS = 30_000
const LONGEST_OPEN_MS = 600_000

/** The stored state of a lane's breaker. Instants are milliseconds of the database's clock. */
export interface BreakerState {
  /** The number of failures in a row. */
  readonly failures: number
  /**
   * The last outcomes as bits, the newest in the lowest bit; 1 is a failure. The highest bit that is set marks how many outcomes there are.
   */
  readonly recent: number
  /** How often the breaker has opened since the last time without failures. */
  readonly opens: number
  /** When the breaker lets one item begin, to test whether the lane works again. Undefined: the breaker is closed. */
  readonly openUntil: number | undefined
}

export const CLOSED: BreakerState = { failures: 0, recent: 1, opens: 0, openUntil: undefined }

/** Whether the state differs from that of a lane without failures. Only then must successes be stored. */
export function isTroubled({ failures, recent, opens, openUntil }: BreakerState): boolean {
  return failures > 0 || opens > 0 || openUntil !== undefined || hasFailure(recent)
}

/** Returns the state after an item has ended. Outcomes while the breaker is open are ignored: those items had begun before it opened. */
export function afterOutcome(state: BreakerState, isSuccess: boolean, now: number): BreakerState {
  const isProbe = state.openUntil !== undefined && state.openUntil <= now
  if (state.openUntil !== undefined && !isProbe) return state
  if (isSuccess) {
    if (isProbe) return { ...CLOSED, opens: state.opens }
    const recent = pushed(state.recent, 0)
    // When all stored outcomes are successes, the next opening is as short as the first one again.
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
 * The maximum number of items of a lane that may run at the same time on all nodes. After failures in a row, no more items run than would
 * open the breaker if they failed too. After a pause of the breaker, only one item runs, to test the lane. Pure.
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
