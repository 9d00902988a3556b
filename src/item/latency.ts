import { MIN_FACTOR } from './lane.ts'

/** How many measured times are needed to decide whether a lane is slow. */
export const JUDGED = 20
/** A lane is slow if the median of its times is more than `SLOW_FACTOR` times the usual time, and also more than `SLOW_MS` longer. */
const SLOW_FACTOR = 2
const SLOW_MS = 250
/** Each time a lane is found not to be slow, its usual time moves toward the median by this share of the difference. */
const FOLLOWS = 0.1
/**
 * Each time a lane is found to be slow, its usual time is multiplied by this factor. So a lane that stays slow is not slowed down forever.
 */
const DRIFTS = 1.05
/** The factor by which a slow lane's rate is lowered. */
const SLOW_DOWN = 0.8
/** Slow responses alone never lower a rate below this share. */
export const LATENCY_FLOOR = Math.max(MIN_FACTOR, 1 / 8)
/** How many successes there must be before a lane is slowed down again. */
export const SUCCESSES_TO_SLOW = 20

/** How long a lane usually takes to respond, in milliseconds. Undefined until enough times were measured. */
export interface Latency {
  readonly usualMs: number | undefined
}

/**
 * Decides whether a lane is slow, from the median of its latest times. If the lane stays slow for minutes, the slow times become its usual
 * times. Pure.
 *
 * @returns the new usual time, and whether the lane is slow
 */
export function judgedLatency({ usualMs }: Latency, p50Ms: number): Latency & { readonly isSlow: boolean } {
  if (usualMs === undefined) return { usualMs: p50Ms, isSlow: false }
  const isSlow = p50Ms > usualMs * SLOW_FACTOR && p50Ms > usualMs + SLOW_MS
  // At least one millisecond, because a usual time of 0 would never grow.
  const next = isSlow ? Math.max(1, usualMs) * DRIFTS : usualMs + FOLLOWS * (p50Ms - usualMs)
  return { usualMs: next, isSlow }
}

export function slowedByLatency(factor: number): number {
  return Math.min(factor, Math.max(LATENCY_FLOOR, factor * SLOW_DOWN))
}

/**
 * Returns a percentile: the value that this share of the list does not exceed; undefined if the list is empty.
 *
 * @param sorted the values in ascending order
 */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}
