/** After `shutdown_timeout`: for closing what the runs used. */
export const CLOSING_MS = 4_000
/** When the one deadline has passed, and not before, a stop settles without what still hangs. */
export const STOP_MARGIN_MS = 5_000
/** After `shutdown_timeout`: for the last writes. */
const DATABASE_GRACE_MS = 2_000
/** Then what waits for the database is cut off, so that the rest can close. */
const CUT_MS = 500
const ABORT_SHARE = 0.8
const SIGNAL_SHARE = 0.1

/** What happens at a stop, in milliseconds from its begin. */
export interface StopPlan {
  /** The runs under way are told to end. */
  readonly abortAtMs: number
  /** Those that have not ended are given back to the queue without their handlers. */
  readonly giveUpAtMs: number
  /** What could not be written is left for recovery. */
  readonly abandonAtMs: number
  /** The database is cut off. */
  readonly cutAtMs: number
}

/**
 * Divides `shutdown_timeout`: 80 % for runs to come to their end, 10 % for handlers to end on their signal, 10 % and two seconds to
 * store how they ended.
 *
 * @param graceMs how long handlers have after their signal at most
 */
export function stopPlan(shutdownTimeoutMs: number, graceMs: number): StopPlan {
  const abortAtMs = shutdownTimeoutMs * ABORT_SHARE
  const giveUpAtMs = abortAtMs + Math.min(graceMs, shutdownTimeoutMs * SIGNAL_SHARE)
  const abandonAtMs = shutdownTimeoutMs + DATABASE_GRACE_MS
  return { abortAtMs, giveUpAtMs, abandonAtMs, cutAtMs: abandonAtMs + CUT_MS }
}
