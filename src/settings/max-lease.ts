import { type Duration, durationMs } from '../time/duration.ts'

/** The maximum lease of a node. No node writes a lease that ends more than this length of time from now. */
export const MAX_LEASE: Duration = '10m'

export const MAX_LEASE_MS = durationMs(MAX_LEASE, 'MAX_LEASE')
