import type { RateLimit } from '../../run/limits.ts'
import {
  aheadMs,
  answerMs,
  countedAt,
  seenMs,
  slackMs,
  type Starts,
  startsSince,
  storedStarts,
  untilFree,
  validMs,
  withoutStart,
  withStarts,
} from './rate-starts.ts'

/** A rate, and how many units of it callers may take at the same moment. */
export interface LimitRule extends RateLimit {
  readonly burst: number
}

/** A place that the database has counted for this process. Times are milliseconds on the process's monotonic clock, except for `at`. */
export interface LimitPlace {
  /** How many units of the rate the caller takes. */
  readonly count: number
  /** The instant for which the place is counted, by the database's clock. */
  readonly at: number
  /** The caller must not use the place before this time. */
  readonly opensAt: number
  /** The caller must not use the place after this time. */
  readonly closesAt: number
  /** If the caller's first synchronous part ends after this time, the place must be postponed; see `postpone`. */
  readonly overAt: number
}

/** One reading of the database's clock. */
export interface ClockReading {
  readonly nowMs: number
  /** The time of the monotonic clock before the query. */
  readonly askedAt: number
  /** The time of the monotonic clock after the answer to the query. */
  readonly answeredAt: number
}

/** An entry with this count is not a take: it stores when the bucket will be full. */
const BUCKET = 0

/**
 * Counts what callers have taken from a limit. There are two rules. First, in any span of the rate's length, callers take at most the
 * rate's count, or the burst if that is larger. Second, each take removes its units from a bucket, which holds at most `burst` units,
 * refills at the rate and never has less than zero.
 */
export class LimitPlaces {
  readonly #rule: LimitRule
  /** The rule for any span of the rate's length. */
  readonly #span: RateLimit
  readonly #clock: ClockReading
  #starts: Starts
  #fullMs: number

  constructor(text: string, rule: LimitRule, clock: ClockReading) {
    this.#rule = rule
    this.#span = { limit: Math.max(rule.limit, rule.burst), perMs: rule.perMs }
    this.#clock = clock
    const stored = storedStarts(text)
    const taken = stored.filter(([, count]) => count > BUCKET)
    this.#starts = startsSince(taken, clock.nowMs, this.#span)
    const [fullMs = -Infinity] = stored.find(([, count]) => count === BUCKET) ?? []
    // If the clock was set back, filling the bucket must not take longer than filling an empty one.
    this.#fullMs = Math.min(fullMs, clock.nowMs + aheadMs(this.#span) + rule.burst * this.#intervalMs)
  }

  get #intervalMs(): number {
    return this.#rule.perMs / this.#rule.limit
  }

  /** Returns the milliseconds until `count` more places are free; 0: now. */
  freeInMs(count: number): number {
    const { nowMs } = this.#clock
    const bucketMs = this.#fullMs - (this.#rule.burst - count) * this.#intervalMs - nowMs
    return Math.max(0, untilFree(this.#starts, count - 1, nowMs, this.#span), bucketMs)
  }

  /**
   * Takes places, even if they become free slightly later.
   *
   * @param lateTries see `slackMs`
   * @param holdMs how much longer the place may stay unused
   */
  take(count: number, lateTries: number, holdMs: number): LimitPlace {
    const { nowMs, askedAt, answeredAt } = this.#clock
    const slack = slackMs(this.#span, lateTries)
    const counted = slack + 2 * holdMs
    const freeInMs = this.freeInMs(count)
    const usedInMs = Math.max(freeInMs, answerMs(this.#span))
    const at = countedAt(nowMs + usedInMs, this.#span, counted)
    this.#starts = withStarts(this.#starts, count, at, this.#span, counted)
    this.#fullMs = Math.max(this.#fullMs, nowMs + freeInMs) + count * this.#intervalMs
    const earliest = askedAt + usedInMs
    return {
      count,
      at,
      opensAt: answeredAt + freeInMs,
      closesAt: earliest + validMs(counted),
      overAt: earliest + seenMs(counted),
    }
  }

  /** Gives back an unused place. Has no effect if the place has expired. */
  giveBack({ at, count }: LimitPlace): void {
    if (this.#without(at, count)) this.#fullMs -= count * this.#intervalMs
  }

  /** Counts a place as used now instead of earlier, because its caller was interrupted. */
  postpone({ at, count }: LimitPlace): void {
    this.#without(at, count)
    const slack = slackMs(this.#span)
    this.#starts = withStarts(this.#starts, count, countedAt(this.#clock.nowMs, this.#span, slack), this.#span, slack)
  }

  #without(at: number, count: number): boolean {
    const before = this.#starts
    for (let one = 0; one < count; one++) this.#starts = withoutStart(this.#starts, at)
    return this.#starts !== before
  }

  /** When the counts of the limit become too old to have an effect, in milliseconds since the epoch. */
  get expiresMs(): number {
    const last = Math.max(this.#clock.nowMs, this.#starts.at(-1)?.[0] ?? 0, this.#fullMs)
    return last + 2 * this.#span.perMs
  }

  get text(): string {
    const isBucketEmptier = this.#rule.burst !== this.#rule.limit && this.#fullMs > this.#clock.nowMs
    return JSON.stringify(isBucketEmptier ? [...this.#starts, [Math.ceil(this.#fullMs), BUCKET]] : this.#starts)
  }
}
