/** The states of a backfill. While it is `paused` or `cancelling`, none of its runs starts. The last three states are final. */
export type BackfillState = 'running' | 'paused' | 'cancelling' | 'cancelled' | 'succeeded' | 'failed'

export const BACKFILL_STATES: readonly BackfillState[] = [
  'running',
  'paused',
  'cancelling',
  'cancelled',
  'succeeded',
  'failed',
]

/** Which windows of a backfill run first. */
export type BackfillOrder = 'oldest' | 'newest'

export const BACKFILL_ORDERS: readonly BackfillOrder[] = ['oldest', 'newest']

/** Which windows of its range a backfill runs. */
export type BackfillOnly = 'missing' | 'failed' | 'all'

export const BACKFILL_ONLY: readonly BackfillOnly[] = ['missing', 'failed', 'all']
