import { type Duration, durationMs } from '../time/duration.ts'

/** The longest lease that a node may have: what ends later than that from now was written by nobody who holds one. */
export const MAX_LEASE: Duration = '10m'

export const MAX_LEASE_MS = durationMs(MAX_LEASE, 'MAX_LEASE')
