import type { Clock } from '../../clock.ts'
import { describe, PikoError } from '../../errors.ts'
import { Turns } from '../../calls/turns.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import { aheadMs } from '../../store/admission/rate-starts.ts'
import type { LimitPlace, LimitRule } from '../../store/admission/limit-places.ts'
import type { RateStore } from '../../store/admission/rate-store.ts'
import type { LimitRequest } from '../../store/admission/reserve-places.ts'

export interface FleetLimiterParts {
  readonly rates: Pick<RateStore, 'reserve'>
  readonly clock: Clock
  /** Called if the database did not answer. The limiter tries again after a pause. */
  readonly onFailure: (error: unknown, retryInMs: number) => void
}

const MAX_REQUESTS = 1_000
const OUTAGE_MS = 200
/** After this many microtasks, an awaiting caller has continued, even through several promises. */
const HOPS = 12
/** After this many uses in a row that were on time, the next places get less slack. */
const CALM_USES = 20
const MAX_LATE_TRIES = 5

/**
 * Lets the callers of one limit in this process continue, first in, first out. One transaction reserves places for all waiting callers. If
 * callers come quickly, it also reserves some places in advance and keeps them for a moment. Each place is valid for a short time on the
 * monotonic clock. If the event loop was blocked longer than that, the place is given back and another one is reserved.
 */
export class FleetLimiter {
  readonly #name: string
  readonly #parts: FleetLimiterParts
  readonly #turns = new Turns<number>()
  #rule: LimitRule
  /** Places for the waiting callers, in order. */
  #held: LimitPlace[] = []
  /** Places for callers that may come soon. */
  #more: LimitPlace[] = []
  readonly #unused: LimitPlace[] = []
  readonly #late: LimitPlace[] = []
  #lateTries = 0
  /**
   * The largest `at` that was held when a place was late. Late places up to it belong to the same reservation, so they don't count again.
   */
  #lateAt = 0
  /** How many uses were on time since the last late one. */
  #inTime = 0
  /** The number of waiting callers whose count is more than one. */
  #large = 0
  #isServing = false
  #sleep: AbortController | undefined
  /** How many units were taken since the last transaction began. */
  #taken = 0
  /** When the last transaction began. */
  #since = 0

  constructor(name: string, rule: LimitRule, parts: FleetLimiterParts) {
    this.#name = name
    this.#rule = rule
    this.#parts = parts
  }

  configure(rule: LimitRule): void {
    this.#rule = rule
  }

  /** Waits until the rate of the whole fleet allows `count` units, and takes them. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    this.#assertFits(count)
    signal.throwIfAborted()
    const isLarge = count > 1 ? 1 : 0
    this.#large += isLarge
    const turn = this.#turns.wait(count, signal, () => this.#sleep?.abort())
    void this.#serve()
    try {
      await turn
    } finally {
      this.#large -= isLarge
    }
  }

  /** Takes `count` units if the rate allows it now and no caller of this process is waiting. @returns whether it did */
  async tryTake(count: number): Promise<boolean> {
    this.#assertFits(count)
    if (this.#turns.size > 0) return false
    const kept = count === 1 ? this.#nextOf(this.#more) : undefined
    if (kept && this.#isOpen(kept)) return this.#use(kept)
    const { places } = await this.#exchange({ counts: [count], more: 0, isAhead: false })
    const [place] = places
    if (place && this.#isOpen(place)) return this.#use(place)
    if (place) this.#unused.push(place)
    return false
  }

  /** Serves the callers one by one until none is waiting. */
  async #serve(): Promise<void> {
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (let count = this.#turns.first; count !== undefined; count = this.#turns.first) await this.#next(count)
      // A late use must be stored before the limit assigns the places after it.
      while (this.#late.length > 0 && this.#turns.size === 0) await this.#reserve([])
    } catch (error) {
      this.#turns.refuseAll(error)
    } finally {
      this.#isServing = false
    }
    if (this.#turns.size > 0) void this.#serve()
  }

  async #next(count: number): Promise<void> {
    const place = this.#placeFor(count)
    if (!place)
      return this.#reserve(this.#large > 0 ? [count] : Array<number>(Math.min(this.#turns.size, MAX_REQUESTS)).fill(1))
    const now = this.#parts.clock.monotonic()
    if (now < place.opensAt) {
      this.#held.unshift(place)
      return this.#sleepFor(Math.ceil(place.opensAt - now))
    }
    if (now > place.closesAt) {
      // If places of one reservation are late, they count as a single late try.
      if (place.at > this.#lateAt) this.#lateTries = Math.min(MAX_LATE_TRIES, this.#lateTries + 1)
      this.#lateAt = Math.max(this.#lateAt, ...this.#held.map(({ at }) => at), place.at)
      this.#inTime = 0
      this.#unused.push(place)
      return
    }
    this.#inTime += 1
    if (this.#inTime % CALM_USES === 0) this.#lateTries = Math.max(0, this.#lateTries - 1)
    this.#use(place)
    this.#turns.give()
    // The next place is checked only when its caller can begin, because this caller's code may block the event loop first.
    for (let hop = 0; hop < HOPS; hop++) await Promise.resolve()
    if (this.#parts.clock.monotonic() > place.overAt) this.#late.push(place)
  }

  /** Returns the next place for a caller. The places of callers that are no longer waiting will be given back. */
  #placeFor(count: number): LimitPlace | undefined {
    for (let place = this.#held.shift(); place; place = this.#held.shift()) {
      if (place.count === count) return place
      this.#unused.push(place)
    }
    return count === 1 ? this.#nextOf(this.#more) : undefined
  }

  /** Returns the first place that is still valid. The places before it will be given back. */
  #nextOf(places: LimitPlace[]): LimitPlace | undefined {
    const now = this.#parts.clock.monotonic()
    for (let place = places.shift(); place; place = places.shift()) {
      if (now <= place.closesAt) return place
      this.#unused.push(place)
    }
    return undefined
  }

  #isOpen({ opensAt, closesAt }: LimitPlace): boolean {
    const now = this.#parts.clock.monotonic()
    return now >= opensAt && now <= closesAt
  }

  #use({ count }: LimitPlace): true {
    this.#taken += count
    return true
  }

  async #reserve(counts: readonly number[]): Promise<void> {
    const { retryInMs, places, more } = await this.#exchange({ counts, more: this.#likely(counts), isAhead: true })
    this.#held.push(...places)
    this.#more.push(...more)
    if (retryInMs !== undefined && places.length === 0) await this.#sleepFor(Math.ceil(retryInMs))
  }

  /** Estimates how many more callers will come while places can be kept. */
  #likely(counts: readonly number[]): number {
    if (counts.length === 0 || this.#large > 0) return 0
    const elapsedMs = Math.max(1, this.#parts.clock.monotonic() - this.#since)
    const likely = Math.floor((this.#taken * aheadMs(this.#rule)) / elapsedMs) - counts.length
    return Math.max(0, Math.min(likely, MAX_REQUESTS, this.#rule.burst))
  }

  /**
   * Gives back unused and late places, and reserves new ones, in one transaction.
   *
   * @throws an error of the database that a retry can't correct
   */
  async #exchange(
    wanted: Pick<LimitRequest, 'counts' | 'more' | 'isAhead'>,
  ): ReturnType<FleetLimiterParts['rates']['reserve']> {
    const { rates, clock, onFailure } = this.#parts
    const [unused, late] = [this.#unused.splice(0), this.#late.splice(0)]
    const request = {
      ...wanted,
      name: this.#name,
      rule: this.#rule,
      holdMs: aheadMs(this.#rule),
      lateTries: this.#lateTries,
      unused,
      late,
    }
    this.#since = clock.monotonic()
    this.#taken = 0
    try {
      return await rates.reserve(request, () => clock.monotonic())
    } catch (error) {
      // The failed transaction may already have given back the unused places, so they are not sent again. Late places are sent again,
      // although they may then be counted twice.
      this.#late.push(...late)
      const fault = databaseFault(error)
      if (fault === 'data' || fault === 'programming') throw error
      onFailure(error, OUTAGE_MS)
      await this.#sleepFor(OUTAGE_MS)
      return { places: [], more: [], retryInMs: undefined }
    }
  }

  /** Sleeps, but ends early if a caller leaves the queue, because that caller may have been the first in it. */
  async #sleepFor(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    await this.#parts.clock.sleep(ms, this.#sleep.signal)
    this.#sleep = undefined
  }

  #assertFits(count: number): void {
    const { burst } = this.#rule
    if (count <= burst) return
    throw new PikoError(
      'USAGE',
      `limit "${this.#name}": count is ${describe(count)}; expected at most ${burst}, the burst of this limit`,
      { details: { count, burst } },
    )
  }
}
