/** What a node and the thread that renews its lease share: instants of `process.hrtime`, in nanoseconds, and numbers. */
export type HeartbeatMemory = BigInt64Array

/** When this has passed the lease is given up; 0: never. */
export const DEADLINE = 0
/** Until then the lease is the node's for sure; 0: it is lost. */
export const TRUSTED_UNTIL = 1
/** Grows while the event loop turns. */
export const BEATS = 2
/** Not 0 while a debugger may hold the event loop. */
export const DEBUGGED = 3
/** Of the memory. */
export const BYTES = 4 * BigInt64Array.BYTES_PER_ELEMENT
