/** A job that another job depends on: its id, its definition, or the spec that `jobSpec` returned. */
export type Upstream = string | { readonly id: string }

/**
 * What happens to a window if a window that it depends on runs again. `'ignore'`: nothing. `'stale'`: the ledger marks it, and a backfill
 * of missing windows includes it. `'rerun'`: it runs again when the other window has succeeded.
 */
export type OnUpstreamChange = 'ignore' | 'stale' | 'rerun'

export const ON_UPSTREAM_CHANGE: readonly OnUpstreamChange[] = ['ignore', 'stale', 'rerun']
