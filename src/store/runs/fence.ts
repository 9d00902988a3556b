/**
 * A claim's fence is `run id · 65536 + claims of the run`.
 *
 * It increases with every claim of a run. A window has at most one unsettled run at a time and a later run has a larger id. So the fence
 * also increases from one run of a window to the next, which is what a sink compares. It needs no counter on which all nodes would queue.
 * It names both run and claim: `id IN (…) AND fence IN (…)` is an exact guard of a whole batch. Safe integers last for 137 thousand million
 * runs.
 */
export const FENCE_FACTOR = 65_536

export function fenceOf(runId: number, claims: number): number {
  return runId * FENCE_FACTOR + claims
}
