import type { Rate, RateLimit } from '../run/limits.ts'

/** How the items of a lane run, over all nodes together. */
export interface LaneSpec {
  /** How many items may begin within a length of time: `'2/s'`, `'600/m'`. Default: no limit. */
  readonly rate?: Rate
  /** How many items may run at the same time. Default: no limit. */
  readonly parallel?: number
}

/** The limits of a lane in the form that the store keeps. */
export interface LaneLimits {
  readonly rate: RateLimit | undefined
  readonly parallel: number | undefined
}

/** The longest name of a lane. */
export const MAX_LANE = 200

/** A lane is slowed down to this share of its rate, but not below it. */
export const MIN_FACTOR = 1 / 32
/** Successes in a row after which a slowed lane becomes faster. */
export const SUCCESSES_TO_SPEED_UP = 50
const SPEED_UP = 1.1
/** How far ahead of its time an item is claimed. */
export const CLAIM_AHEAD_MS = 250
/** The share of a rate's length of time by which an item may be late, and its limits. A later item gives its place up. */
const LATE_SHARE = 0.05
const MIN_LATE_MS = 20
const MAX_LATE_MS = 250

/** The milliseconds between two items of a lane. 0: it has no rate. */
export function spacingMs(rate: RateLimit | undefined, factor: number, delayMs: number | undefined): number {
  const ofRate = rate ? rate.perMs / (rate.limit * Math.max(factor, MIN_FACTOR)) : 0
  return Math.max(ofRate, delayMs ?? 0)
}

/** How long after its place in time an item may begin. Its lane then still keeps the rate, within one item. */
export function allowedLateMs(rate: RateLimit | undefined): number {
  return rate ? Math.min(MAX_LATE_MS, Math.max(MIN_LATE_MS, rate.perMs * LATE_SHARE)) : Infinity
}

/** The place in time of each of the next items, and the first free one after them. All are milliseconds of the database's clock. */
export interface Places {
  readonly at: readonly number[]
  readonly freeAt: number
}

/** The places of a lane that may be claimed now. */
export function placesFrom(lane: {
  readonly now: number
  /** No place is earlier than this from now, so that the claim is over by then. Without a rate, items begin when it is. */
  readonly leadMs: number
  /** The first free place. */
  readonly freeAt: number
  /** Milliseconds between two items. */
  readonly spacing: number
  /** How many items may be claimed. */
  readonly most: number
}): Places {
  const { freeAt, spacing, most } = lane
  const now = spacing > 0 ? lane.now + lane.leadMs : lane.now
  const first = Math.max(now, freeAt)
  if (first >= now + CLAIM_AHEAD_MS) return { at: [], freeAt }
  if (spacing <= 0) return { at: Array.from({ length: most }, () => first), freeAt }
  const at: number[] = []
  let next = first
  while (at.length < most && next < now + CLAIM_AHEAD_MS) {
    at.push(next)
    next += spacing
  }
  return { at, freeAt: at.length === 0 ? freeAt : next }
}

/** The factor of a lane that has to wait. */
export function slowed(factor: number): number {
  return Math.max(MIN_FACTOR, factor / 2)
}

/** The factor of a slowed lane, and its successes since the last change. */
export function speedUp(factor: number, successes: number): { readonly factor: number; readonly successes: number } {
  if (factor >= 1) return { factor: 1, successes: 0 }
  if (successes < SUCCESSES_TO_SPEED_UP) return { factor, successes }
  return { factor: Math.min(1, factor * SPEED_UP), successes: successes - SUCCESSES_TO_SPEED_UP }
}
