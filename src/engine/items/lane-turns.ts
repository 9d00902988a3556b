import { toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import type { Clock } from '../../clock.ts'
import { type ClockReading, DatabaseClock } from '../../item/database-clock.ts'
import { allowedLateMs, CLAIM_AHEAD_MS, type LanePlace, spacingMs } from '../../item/lane.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { LanePlaceAnswer, LanePlaceRequest } from '../../store/items/places/lane-places.ts'
import type { LaneState } from '../../store/items/lane-rows.ts'
import { Batcher } from '../loop/batcher.ts'

/**
 * If the first turn of an item does not come within this time (longer in a slow lane), the item returns to the queue, because it holds a
 * slot that others need.
 */
const PATIENCE_MS = 1_000
const OUTAGE_MS = 200
const MAX_REQUESTS = 100
const MAX_LEAD_MS = 2_000
/** How many of the last answers, and of the last items, are considered. */
const ANSWERS = 8
const ITEMS = 16
/** After each place that an item misses, its next place is valid longer. The additional time is limited to this many milliseconds. */
const MAX_GRACE_MS = 60_000

export interface LaneTurnsParts {
  readonly store: Pick<ItemStore, 'takePlaces'>
  readonly clock: Clock
  readonly events: Events
  readonly holdsLease: () => boolean
}

/** An item, or a request of an item, that waits for its turn. */
export interface LaneAsker {
  readonly lane: LaneState
  readonly signal: AbortSignal
  /** The place with which the item was claimed; only at its first turn. */
  readonly place?: LanePlace | undefined
  /** Whether the item returns to the queue if its lane has no place soon. Otherwise it waits. */
  readonly isFirst: boolean
  /** The maximum time until the item's place, in milliseconds. Undefined: no limit, unless `isFirst`. */
  readonly patienceMs?: number | undefined
}

/** The places of one lane that this node has taken, and the items of the lane that it holds. */
interface Pool {
  readonly places: LanePlace[]
  /** The newest place that nobody has used in time. */
  unused: LanePlace | undefined
  held: number
}

/**
 * The turns of items in lanes with a rate. A claim takes a place for each item: a short period in which one item may begin. An item that is
 * ready uses the first place of its lane that this node has taken. So if all items are late, each uses the place of a later one. If there is
 * no place left, the item takes a new one. All items that need one in the same turn of the event loop share one transaction.
 */
export class LaneTurns {
  readonly #parts: LaneTurnsParts
  readonly #times = new DatabaseClock()
  readonly #pools = new Map<number, Pool>()
  readonly #batcher: Batcher<LanePlaceRequest, LanePlaceAnswer>
  /** How late the last items were ready, in milliseconds. */
  readonly #late: number[] = []
  /** How long the last answers with places took, in milliseconds. */
  readonly #took: number[] = []

  constructor(parts: LaneTurnsParts) {
    this.#parts = parts
    this.#batcher = new Batcher((requests) => this.#takeAll(requests), { largest: MAX_REQUESTS })
  }

  /**
   * How long before its beginning a place must be taken, in milliseconds, so that the answer arrives in time. Grows with the time that the
   * database needs to answer, and with a delay that all items have.
   */
  get leadMs(): number {
    // If all items become ready late, a late item must find the place of a later one.
    const shared = this.#late.length > 0 ? Math.min(...this.#late) : 0
    // A single slow answer is ignored: usually, the event loop of this node was busy.
    const slow = this.#took.toSorted((one, other) => other - one)[1] ?? 0
    return Math.min(MAX_LEAD_MS, Math.max(slow, shared))
  }

  /** How long an answer with places usually takes, in milliseconds. */
  get usualMs(): number {
    const took = this.#took.toSorted((one, other) => one - other)
    return Math.min(MAX_LEAD_MS, took[took.length >> 1] ?? 0)
  }

  /** Called when the places arrive that the database has assigned at this reading of its clock. */
  answered({ databaseMs, readAt }: ClockReading): void {
    const now = this.#parts.clock.monotonic()
    // The time since the reading is counted twice, because an item may also have to read its run or its kept bytes.
    const tookMs = now - this.#times.until(databaseMs) + now - readAt
    this.#took.push(tookMs)
    if (this.#took.length > ANSWERS) this.#took.shift()
  }

  /** Takes a reading of the database's clock into account. @returns how uncertain its time is, in milliseconds */
  read(reading: ClockReading): number {
    return this.#times.read(reading)
  }

  /** Returns when a place begins, on this node's monotonic clock. */
  opensAt({ at }: LanePlace): number {
    return this.#times.from(at)
  }

  /** Adds the place of a claimed item. Each call needs a call to `leave`. */
  join(laneId: number, place: LanePlace): void {
    const pool = this.#pools.get(laneId) ?? { places: [], unused: undefined, held: 0 }
    this.#pools.set(laneId, pool)
    pool.held += 1
    pool.places.push(place)
  }

  /** Called when this node no longer holds an item that has joined. */
  leave(laneId: number): void {
    const pool = this.#pools.get(laneId)
    if (pool && --pool.held <= 0) this.#pools.delete(laneId)
  }

  /**
   * Waits until the lane lets the item begin. The item must begin in the same turn of the event loop.
   *
   * @returns whether it may begin; otherwise it must return to the queue
   * @throws the reason of the signal
   */
  async take({ lane, place: own, signal, isFirst, patienceMs: givenMs }: LaneAsker): Promise<boolean> {
    const spacing = spacingMs(lane.rate, lane.factor, lane.delayMs)
    if (spacing === 0) return true
    if (own) this.#ready(own)
    const { clock, holdsLease } = this.#parts
    const lateMs = allowedLateMs(lane.rate, lane.delayMs)
    // In a slow lane, even the next place may be further away.
    const patienceMs = givenMs ?? Math.max(PATIENCE_MS, CLAIM_AHEAD_MS + 2 * spacing)
    let graceMs = 0
    for (;;) {
      signal.throwIfAborted()
      if (!holdsLease()) return false
      const place = this.#next(lane.id) ?? (await this.#newPlace(lane.id, { graceMs, patienceMs }))
      if (place === 'free') return true
      if (place === 'later') {
        if (isFirst || givenMs !== undefined) return false
        await clock.sleep(Math.min(patienceMs, Math.max(OUTAGE_MS, spacing)), signal)
      } else {
        if (await this.#isOpen(lane.id, place, signal)) return holdsLease()
        graceMs = Math.min(MAX_GRACE_MS, 2 * graceMs + lateMs)
      }
    }
  }

  /** Removes and returns the first place of this node that is still valid. */
  #next(laneId: number): LanePlace | undefined {
    const pool = this.#pools.get(laneId)
    for (let place = pool?.places.shift(); pool && place; place = pool.places.shift()) {
      if (this.#isValid(place)) return place
      pool.unused = place
    }
    return undefined
  }

  #isValid({ at, lateMs }: LanePlace): boolean {
    return this.#parts.clock.monotonic() <= this.#times.until(at + lateMs)
  }

  /** Waits until a place begins. @returns false if it is over already */
  async #isOpen(laneId: number, place: LanePlace, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts
    for (;;) {
      const waitMs = this.opensAt(place) - clock.monotonic()
      if (waitMs <= 0) break
      await clock.sleep(Math.ceil(waitMs), signal)
      if (!signal.aborted) continue
      // Another item may use the place.
      this.#pools.get(laneId)?.places.unshift(place)
      signal.throwIfAborted()
    }
    if (this.#isValid(place)) return true
    const pool = this.#pools.get(laneId)
    if (pool) pool.unused = place
    return false
  }

  #ready(place: LanePlace): void {
    this.#late.push(this.#parts.clock.monotonic() - this.opensAt(place))
    if (this.#late.length > ITEMS) this.#late.shift()
  }

  async #newPlace(
    laneId: number,
    { graceMs, patienceMs }: Pick<LanePlaceRequest, 'graceMs' | 'patienceMs'>,
  ): Promise<LanePlaceAnswer> {
    const unused = this.#pools.get(laneId)?.unused
    return this.#batcher.add({ laneId, unused, graceMs, patienceMs, leadMs: Math.ceil(this.usualMs) })
  }

  async #takeAll(requests: readonly LanePlaceRequest[]): Promise<readonly LanePlaceAnswer[]> {
    const { store, clock, events } = this.#parts
    const monotonic = (): number => clock.monotonic()
    let last: ClockReading | undefined
    const read = (reading: ClockReading): number => {
      last = reading
      return this.read(reading)
    }
    try {
      const answers = await store.takePlaces(requests, { monotonic, read })
      if (last) this.answered(last)
      return answers
    } catch (thrown) {
      events.emit('loop.failed', { loop: 'item-lanes', error: toError(thrown), retryInMs: OUTAGE_MS })
      return requests.map(() => 'later' as const)
    }
  }
}
