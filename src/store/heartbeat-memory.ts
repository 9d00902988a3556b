/** What a node and the thread that renews its lease share: two instants of `process.hrtime`, in nanoseconds. */
export type HeartbeatMemory = BigInt64Array

/** When this has passed the lease is given up; 0: never. */
export const DEADLINE = 0
/** Until then the lease is the node's for sure; 0: it is lost. */
export const TRUSTED_UNTIL = 1
