/**
 * The memory that a node shares with the thread that renews its lease. It contains points in time of `process.hrtime`, in nanoseconds, and
 * counters.
 */
export type HeartbeatMemory = BigInt64Array

/** The time at which the node gives up its lease. 0: never. */
export const DEADLINE = 0
/** Until this time the node certainly holds the lease. 0: the lease is lost. */
export const TRUSTED_UNTIL = 1
/** A counter that increases as long as the event loop runs. */
export const BEATS = 2
/** Not 0 while a debugger may pause the event loop. */
export const DEBUGGED = 3
/** The size of the memory in bytes. */
export const BYTES = 4 * BigInt64Array.BYTES_PER_ELEMENT
