/**
 * A claim's fence is `run id · 65536 + claims of the run`.
 *
 * It increases with every claim of a run. A window has at most one run at a time that has not ended, and a later run has a larger id. So
 * the fence also increases from one run of a window to the next, which is what a sink compares. It needs no shared counter, on which nodes
 * would have to wait. It identifies both run and claim, so `id IN (…) AND fence IN (…)` guards a whole batch exactly. Safe integers are
 * enough for 137 billion runs.
 */
export const FENCE_FACTOR = 65_536

export function fenceOf(runId: number, claims: number): number {
  return runId * FENCE_FACTOR + claims
}

/** Returns how many times the run has been claimed, including this claim. */
export function claimsIn({ runId, fence }: { readonly runId: number; readonly fence: number }): number {
  return fence - runId * FENCE_FACTOR
}

/**
 * If a run has been claimed more often than this, `ctx.until` fails instead of waiting again. The remaining claims are for retries, replays
 * and lost nodes.
 */
export const MAX_CLAIMS_OF_WAITS = 65_000
