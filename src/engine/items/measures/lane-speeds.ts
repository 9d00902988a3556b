import { LRUCache } from 'lru-cache'
import { JUDGED, judgedLatency, percentile } from '../../../item/latency.ts'
import type { ItemStore } from '../../../store/items/item-store.ts'
import type { LaneSpeed } from '../../../store/items/lane-speeds.ts'

/** The maximum number of lanes that a node measures at the same time. */
const MAX_LANES = 5_000
/** The maximum number of lanes whose speeds are stored in one call. */
const MAX_STORED = 500
/** The maximum number of measured times per lane between two writes. Further items still count toward the speed. */
const MAX_SAMPLES = 500
/** How often measurements are stored. */
const EVERY_MS = 5_000

export interface LaneSpeedsParts {
  readonly store: Pick<ItemStore, 'storeSpeeds' | 'slowLanes'>
  readonly nodeId: () => string
  readonly monotonic: () => number
}

interface Measured {
  /** How many items have ended since the last write. */
  ended: number
  /** How long the lane took to respond to each ended item, in milliseconds. */
  samples: number[]
  /** The times measured since the last decision about whether the lane is slow. */
  unjudged: number[]
  usualMs: number | undefined
}

/**
 * Measures how fast lanes respond to the items of this node, and stores the speeds, for example for the dashboard. Lowers the rate of a
 * lane that has become slow.
 */
export class LaneSpeeds {
  readonly #parts: LaneSpeedsParts
  readonly #lanes = new LRUCache<number, Measured>({ max: MAX_LANES })
  readonly #changed = new Set<number>()
  #since: number

  constructor(parts: LaneSpeedsParts) {
    this.#parts = parts
    this.#since = parts.monotonic()
  }

  /**
   * Records the end of an item.
   *
   * @param ms how long the item's lane took to respond, in milliseconds; undefined if unknown
   * @param isJudged whether a slow response may lower the lane's rate
   */
  ended(laneId: number, ms: number | undefined, isJudged: boolean): void {
    let lane = this.#lanes.get(laneId)
    if (!lane) this.#lanes.set(laneId, (lane = { ended: 0, samples: [], unjudged: [], usualMs: undefined }))
    this.#changed.add(laneId)
    lane.ended += 1
    if (ms === undefined) return
    if (lane.samples.length < MAX_SAMPLES) lane.samples.push(ms)
    if (isJudged && lane.unjudged.length < MAX_SAMPLES) lane.unjudged.push(ms)
  }

  /**
   * Stores the measurements if enough time has passed since the last write.
   *
   * @param isLoopLate whether the event loop of this process was late; then the measured times show nothing about the lanes
   */
  async store(isLoopLate: boolean): Promise<void> {
    const now = this.#parts.monotonic()
    const spanMs = now - this.#since
    if (spanMs < EVERY_MS) return
    this.#since = now
    const speeds: LaneSpeed[] = []
    const slow: number[] = []
    for (const laneId of this.#changed) {
      // Later calls store the remaining lanes.
      if (speeds.length === MAX_STORED) break
      this.#changed.delete(laneId)
      const lane = this.#lanes.get(laneId)
      if (!lane) continue
      speeds.push(speedOf(laneId, lane, spanMs))
      if (this.#isSlow(lane, isLoopLate)) slow.push(laneId)
    }
    const { store, nodeId } = this.#parts
    await store.storeSpeeds(nodeId(), speeds)
    await store.slowLanes(slow)
  }

  #isSlow(lane: Measured, isLoopLate: boolean): boolean {
    if (isLoopLate) lane.unjudged = []
    if (lane.unjudged.length < JUDGED) return false
    const p50 = percentile(ascending(lane.unjudged), 0.5) ?? 0
    lane.unjudged = []
    const { usualMs, isSlow } = judgedLatency(lane, p50)
    lane.usualMs = usualMs
    return isSlow
  }
}

function speedOf(laneId: number, lane: Measured, spanMs: number): LaneSpeed {
  const sorted = ascending(lane.samples)
  const { ended } = lane
  lane.ended = 0
  lane.samples = []
  return { laneId, spanMs, ended, p50Ms: percentile(sorted, 0.5), p95Ms: percentile(sorted, 0.95) }
}

function ascending(values: readonly number[]): readonly number[] {
  return values.toSorted((one, other) => one - other)
}
