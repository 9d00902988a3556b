import { LRUCache } from 'lru-cache'
import { JUDGED, judgedLatency, percentile } from '../../../item/latency.ts'
import type { ItemStore } from '../../../store/items/item-store.ts'
import type { LaneSpeed } from '../../../store/items/lane-speeds.ts'

/** Lanes that a node measures at the same time, and those of one statement. */
const MAX_LANES = 5_000
const MAX_STORED = 500
/** Measurements of one lane that are kept until they are stored. The speed counts further items too. */
const MAX_SAMPLES = 500
/** How often measurements are stored. */
const EVERY_MS = 5_000

export interface LaneSpeedsParts {
  readonly store: Pick<ItemStore, 'storeSpeeds' | 'slowLanes'>
  readonly nodeId: () => string
  readonly monotonic: () => number
}

interface Measured {
  /** Items that ended since the last store, and how long the lane took to answer them. */
  ended: number
  samples: number[]
  /** Measurements that wait for the next judgement. */
  unjudged: number[]
  usualMs: number | undefined
}

/** How fast lanes answer the items of this node: for people, and to slow lanes down that have become slow. */
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
   * An item has ended.
   *
   * @param ms how long its lane took to answer; undefined: it says nothing about that
   * @param isJudged whether the lane is slowed down once it answers slowly
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
   * Stores what was measured, if it is time to.
   *
   * @param isLoopLate whether this process was late itself, so its measurements say nothing about the lanes
   */
  async store(isLoopLate: boolean): Promise<void> {
    const now = this.#parts.monotonic()
    const spanMs = now - this.#since
    if (spanMs < EVERY_MS) return
    this.#since = now
    const speeds: LaneSpeed[] = []
    const slow: number[] = []
    for (const laneId of this.#changed) {
      // Each in a later turn, if there are more.
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
