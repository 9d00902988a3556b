import { LRUCache } from 'lru-cache'
import type { ItemStore } from '../../store/items/item-store.ts'
import { type EnsureLanes, laneKey, type LaneRef, MAX_LANES } from '../../store/items/lane-rows.ts'
import { chunksOf } from '../../store/statements/chunks.ts'

/** The maximum number of lanes whose ids a node caches. */
const MAX_KNOWN = 50_000
/** How long a node caches an id, in milliseconds. Unused lanes exist much longer before they are deleted. */
const KNOWN_MS = 600_000
const NONE: ReadonlyMap<string, number> = new Map()

/** The ids of lanes, cached in this process. Creates missing lanes. */
export class LaneIds {
  readonly #store: Pick<ItemStore, 'ensureLanes'>
  readonly #known = new LRUCache<string, number>({ max: MAX_KNOWN, ttl: KNOWN_MS })

  constructor(store: Pick<ItemStore, 'ensureLanes'>) {
    this.#store = store
  }

  /** Clears the cache, because lanes may have been deleted while this process was suspended. */
  clear(): void {
    this.#known.clear()
  }

  /** Returns the id of each lane, by `laneKey`. */
  async of(lanes: readonly LaneRef[]): Promise<ReadonlyMap<string, number>> {
    const ids = await this.within(lanes, NONE, (some) => this.#store.ensureLanes(some))
    for (const [key, id] of ids) this.#known.set(key, id)
    return ids
  }

  /**
   * Like {@link of}, but inside a transaction. The ids of new lanes are not cached, because the transaction may be rolled back.
   *
   * @param before ids that were read before the transaction
   * @param ensure reads lanes in the transaction, and creates missing ones
   */
  async within(
    lanes: readonly LaneRef[],
    before: ReadonlyMap<string, number>,
    ensure: EnsureLanes,
  ): Promise<ReadonlyMap<string, number>> {
    const ids = new Map<string, number>()
    const missing = new Map<string, LaneRef>()
    for (const lane of lanes) {
      const key = laneKey(lane.scope, lane.name)
      const id = before.get(key) ?? this.#known.get(key)
      if (id === undefined) missing.set(key, lane)
      else ids.set(key, id)
    }
    for (const some of chunksOf([...missing.values()], MAX_LANES))
      for (const [key, id] of await ensure(some)) ids.set(key, id)
    return ids
  }
}
