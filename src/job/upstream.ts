/** A job on which another one depends: its id, its definition, or the spec that `jobSpec` returned. */
export type Upstream = string | { readonly id: string }

/**
 * What happens to a window if a window on which it depends runs again. `'ignore'`: nothing. `'stale'`: the ledger marks it, and a backfill
 * of missing windows includes it. `'rerun'`: it runs again once the other has succeeded.
 */
export type OnUpstreamChange = 'ignore' | 'stale' | 'rerun'

export const ON_UPSTREAM_CHANGE: readonly OnUpstreamChange[] = ['ignore', 'stale', 'rerun']
