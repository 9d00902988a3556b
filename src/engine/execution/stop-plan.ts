/** How long the resources and sinks of the runs may take to close after `shutdown_timeout`. */
export const CLOSING_MS = 4_000
/** If services are still hanging this long after the deadline, the stop ends without them. */
export const STOP_MARGIN_MS = 5_000
/** How long the last writes may take after `shutdown_timeout`. */
const DATABASE_GRACE_MS = 2_000
/** After this additional time, the connection is closed, so that services that are waiting for the database can close. */
const CUT_MS = 500
const ABORT_SHARE = 0.8
const SIGNAL_SHARE = 0.1

/** When the phases of a stop begin, in milliseconds from the beginning of the stop. */
export interface StopPlan {
  /** When the signals of the running runs abort. */
  readonly abortAtMs: number
  /** When the remaining runs return to the queue, without waiting for their handlers. */
  readonly giveUpAtMs: number
  /** When the node stops trying to write outcomes. Recovery then handles these runs. */
  readonly abandonAtMs: number
  /** When the connection to the database is closed. */
  readonly cutAtMs: number
}

/**
 * Divides `shutdown_timeout`: 80 % for runs to end, 10 % for handlers after their signal, 10 % and two seconds to store outcomes.
 *
 * @param graceMs the maximum time for handlers after their signal
 */
export function stopPlan(shutdownTimeoutMs: number, graceMs: number): StopPlan {
  const abortAtMs = shutdownTimeoutMs * ABORT_SHARE
  const giveUpAtMs = abortAtMs + Math.min(graceMs, shutdownTimeoutMs * SIGNAL_SHARE)
  const abandonAtMs = shutdownTimeoutMs + DATABASE_GRACE_MS
  return { abortAtMs, giveUpAtMs, abandonAtMs, cutAtMs: abandonAtMs + CUT_MS }
}
