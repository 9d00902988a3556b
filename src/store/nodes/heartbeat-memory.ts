/** The memory that a node shares with the thread that renews its lease: instants of `process.hrtime`, in nanoseconds, and numbers. */
export type HeartbeatMemory = BigInt64Array

/** The node gives up its lease at this instant; 0: never. */
export const DEADLINE = 0
/** The node is sure to hold the lease until this instant; 0: the lease is lost. */
export const TRUSTED_UNTIL = 1
/** Increases while the event loop turns. */
export const BEATS = 2
/** Not 0 while a debugger may pause the event loop. */
export const DEBUGGED = 3
/** The size of the memory in bytes. */
export const BYTES = 4 * BigInt64Array.BYTES_PER_ELEMENT
