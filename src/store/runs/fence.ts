/**
 * A claim's fence is `run id · 65536 + claims of the run`.
 *
 * It increases with every claim of a run. A window has at most one unsettled run at a time, and a later run has a larger id. So the fence
 * also increases from one run of a window to the next, which is what a sink compares. It needs no shared counter for which nodes would
 * wait. It identifies both run and claim, so `id IN (…) AND fence IN (…)` guards a whole batch exactly. Safe integers suffice for 137
 * thousand million runs.
 */
export const FENCE_FACTOR = 65_536

export function fenceOf(runId: number, claims: number): number {
  return runId * FENCE_FACTOR + claims
}
