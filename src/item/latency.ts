import { MIN_FACTOR } from './lane.ts'

/** Measurements that one judgement needs. */
export const JUDGED = 20
/** A lane is slow if half of its items take this many times as long as usual, and this much longer. */
const SLOW_FACTOR = 2
const SLOW_MS = 250
/** How fast the usual time follows what is measured: while a lane is as usual, and while it is slow. */
const FOLLOWS = 0.1
const DRIFTS = 1.05
const SLOW_DOWN = 0.8
/** Latency alone never lowers a rate further than to this share. */
export const LATENCY_FLOOR = Math.max(MIN_FACTOR, 1 / 8)
/** A lane that was slowed is slowed again only after this many successes. */
export const SUCCESSES_TO_SLOW = 20

/** How long a lane usually takes to answer, in milliseconds; undefined before the first judgement. */
export interface Latency {
  readonly usualMs: number | undefined
}

/**
 * Judges a lane by the middle one of its latest measurements. What stays slow for minutes becomes usual. Pure.
 *
 * @returns what is usual from now on, and whether the lane has become slow
 */
export function judgedLatency({ usualMs }: Latency, p50Ms: number): Latency & { readonly isSlow: boolean } {
  if (usualMs === undefined) return { usualMs: p50Ms, isSlow: false }
  const isSlow = p50Ms > usualMs * SLOW_FACTOR && p50Ms > usualMs + SLOW_MS
  // Not below a millisecond, from which it would never grow.
  const next = isSlow ? Math.max(1, usualMs) * DRIFTS : usualMs + FOLLOWS * (p50Ms - usualMs)
  return { usualMs: next, isSlow }
}

export function slowedByLatency(factor: number): number {
  return Math.min(factor, Math.max(LATENCY_FLOOR, factor * SLOW_DOWN))
}

/** The value that this share of a list does not exceed; undefined if it is empty. @param sorted ascending */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}
