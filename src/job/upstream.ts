/** A job that another one depends on: its id, its definition, or the spec that `jobSpec` made. */
export type Upstream = string | { readonly id: string }

/**
 * What becomes of a window when one that it depends on is run again: `'ignore'`: nothing. `'stale'`: the ledger marks it, and a
 * backfill of what is missing takes it up. `'rerun'`: it runs again once the other has succeeded.
 */
export type OnUpstreamChange = 'ignore' | 'stale' | 'rerun'

export const ON_UPSTREAM_CHANGE: readonly OnUpstreamChange[] = ['ignore', 'stale', 'rerun']
