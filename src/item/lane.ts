import type { Rate, RateLimit } from '../run/limits.ts'

/** The limits of a lane. All nodes share them. */
export interface LaneSpec {
  /** The maximum number of items that may begin within a length of time, such as `'2/s'` or `'600/m'`. Default: no limit. */
  readonly rate?: Rate
  /** The maximum number of items that may run at the same time. Default: no limit. */
  readonly parallel?: number
  /**
   * Whether the lane becomes slower when its responses do, down to 1/8 of its rate. It is slowed down while at least half of its items take
   * more than twice as long as usual, and more than 250 ms longer. After 50 successes, it becomes 10 % faster again. Default: true for the
   * hosts of a crawl, otherwise false.
   */
  readonly throttle?: boolean
}

/** The limits of a lane in their stored form. */
export interface LaneLimits {
  readonly rate: RateLimit | undefined
  readonly parallel: number | undefined
}

/** The maximum length of a lane's name, in characters. */
export const MAX_LANE = 200

/** The minimum share of its rate to which a lane is slowed down. */
export const MIN_FACTOR = 1 / 32
/** After this many successes, the rate of a slowed lane is multiplied by `SPEED_UP`. */
export const SUCCESSES_TO_SPEED_UP = 50
const SPEED_UP = 1.1
/** How long before its start time an item may be claimed, in milliseconds. In a lane with a spacing, `leadMs` is added. */
export const CLAIM_AHEAD_MS = 250
/** With a grace, one claim takes places this many times the grace further ahead. */
const GRACE_PARTS = 5
/**
 * The slack of a rate, as a share of its period; at least `MIN_SLACK_MS` and at most `MAX_SLACK_MS`. An item may begin a little after its
 * start time, and its request arrives a little later. The start times of one period are spread over the period and the slack, so the rate
 * still holds.
 */
const SLACK_SHARE = 0.03
const MIN_SLACK_MS = 20
const MAX_SLACK_MS = 250
/** The share of the slack in which an item may begin. The rest is for delays in the network. */
const LATE_SHARE = 0.75

/** How late an item may begin if its lane has a minimum time between two items, in milliseconds. */
const DELAY_LATE_MS = 100
/**
 * How many milliseconds longer a request may take to arrive than the next one, for example because it opens a new connection. Used for
 * lanes with a minimum time between two items.
 */
const DELAY_ARRIVAL_MS = 100

/**
 * Returns the milliseconds between the start times of two items of a lane; 0 if the lane has neither a rate nor a minimum time between two
 * items. If each item begins within `allowedLateMs`, any period of the rate has at most `limit` items.
 *
 * @param factor the share of its rate at which a slowed lane works, up to 1
 * @param delayMs the minimum time between two items that a note of the lane demands
 */
export function spacingMs(rate: RateLimit | undefined, factor: number, delayMs: number | undefined): number {
  const ofRate = rate ? (rate.perMs + slackMs(rate)) / (rate.limit * Math.max(factor, MIN_FACTOR)) : 0
  // If an item is late and the next one is on time, there must still be at least `delayMs` between them.
  return Math.max(ofRate, delayMs === undefined ? 0 : delayMs + DELAY_LATE_MS + DELAY_ARRIVAL_MS)
}

/** Returns how late an item may begin after its start time, in milliseconds. */
export function allowedLateMs(rate: RateLimit | undefined, delayMs: number | undefined): number {
  if (rate === undefined) return delayMs === undefined ? Infinity : DELAY_LATE_MS
  const ofRate = slackMs(rate) * LATE_SHARE
  return delayMs === undefined ? ofRate : Math.min(ofRate, DELAY_LATE_MS)
}

function slackMs({ perMs }: RateLimit): number {
  return Math.min(MAX_SLACK_MS, Math.max(MIN_SLACK_MS, perMs * SLACK_SHARE))
}

/**
 * The right to begin one item, or to send one request, in a lane with a rate or a minimum time between two items. Times are milliseconds on
 * the database's clock.
 */
export interface LanePlace {
  readonly at: number
  /** How late after `at` the item may begin, in milliseconds. */
  readonly lateMs: number
  /** The first free start time after this place; undefined unless this is the last place of its claim. */
  readonly freeAt: number | undefined
}

/**
 * Returns how late items may begin if the node knows the database's time only within `uncertainMs`. At least half of the allowed time
 * remains for real delays. If the result is larger than `allowedLateMs`, the next start time must be later by the difference.
 */
export function lateWithin(allowedMs: number, uncertainMs: number): number {
  return Math.max(allowedMs, uncertainMs + allowedMs / 2)
}

/**
 * The start times of the next items (`at`), and the first free one after them (`freeAt`), in milliseconds on the database's clock. An item
 * may begin at its start time.
 */
export interface Places {
  readonly at: readonly number[]
  readonly freeAt: number
}

/** Returns the start times of a lane that may be claimed now. */
export function placesFrom(lane: {
  readonly now: number
  /** How much further ahead places are taken, in milliseconds, in case the database is slow. Ignored if `spacing` is 0. */
  readonly leadMs: number
  /** The minimum time from now to a start time, in milliseconds, so that the claim has probably ended by then. Default: `leadMs`. */
  readonly leastMs?: number
  /** The first free start time. */
  readonly freeAt: number
  /** The result of `spacingMs`. */
  readonly spacing: number
  /** The additional time after the last place. With it, one claim takes more places, so that little of the rate is lost. Default 0. */
  readonly graceMs?: number
  /** The maximum number of items to claim. */
  readonly most: number
}): Places {
  const { freeAt, spacing, most, leastMs = lane.leadMs, graceMs = 0 } = lane
  const now = spacing > 0 ? lane.now + lane.leadMs : lane.now
  const first = Math.max(spacing > 0 ? lane.now + leastMs : now, freeAt)
  if (first >= now + CLAIM_AHEAD_MS) return { at: [], freeAt }
  if (spacing <= 0) return { at: Array.from({ length: most }, () => first), freeAt }
  const at: number[] = []
  let next = first
  while (at.length < most && next < now + CLAIM_AHEAD_MS + GRACE_PARTS * graceMs) {
    at.push(next)
    next += spacing
  }
  return { at, freeAt: at.length === 0 ? freeAt : next }
}

/** Returns the new factor of a lane after an error for which the whole lane waits. */
export function slowed(factor: number): number {
  return Math.max(MIN_FACTOR, factor / 2)
}

/** Returns the new factor of a lane after successes, and how many successes already count toward the next change. */
export function speedUp(factor: number, successes: number): { readonly factor: number; readonly successes: number } {
  if (factor >= 1) return { factor: 1, successes: 0 }
  if (successes < SUCCESSES_TO_SPEED_UP) return { factor, successes }
  return { factor: Math.min(1, factor * SPEED_UP), successes: successes - SUCCESSES_TO_SPEED_UP }
}
