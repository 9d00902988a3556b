/**
 * The memory that a node shares with the thread that renews its lease. It contains two times of `process.hrtime`, in nanoseconds, a counter
 * and a flag.
 */
export type HeartbeatMemory = BigInt64Array

/** The index of the time at which the node gives up its lease; the time 0 means never. */
export const DEADLINE = 0
/** The index of the time until which the node certainly holds the lease; the time 0 means that the lease is lost. */
export const TRUSTED_UNTIL = 1
/** The index of a counter that increases as long as the event loop runs. */
export const BEATS = 2
/** The index of a value that is not 0 while a debugger may pause the event loop. */
export const DEBUGGED = 3
/** The size of the memory in bytes. */
export const BYTES = 4 * BigInt64Array.BYTES_PER_ELEMENT
