import { type Duration, durationMs } from '../time/duration.ts'

/** The longest lease that a node may have. No node writes a lease that ends later than this from now. */
export const MAX_LEASE: Duration = '10m'

export const MAX_LEASE_MS = durationMs(MAX_LEASE, 'MAX_LEASE')
