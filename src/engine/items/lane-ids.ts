import { LRUCache } from 'lru-cache'
import type { ItemStore } from '../../store/items/item-store.ts'
import { type EnsureLanes, laneKey, type LaneRef, MAX_LANES } from '../../store/items/lane-rows.ts'
import { chunksOf } from '../../store/statements/chunks.ts'

/** The maximum number of lanes whose ids a node remembers. */
const MAX_KNOWN = 50_000
/** How long a node remembers an id, in milliseconds. Unused lanes are deleted only after a much longer time. */
const KNOWN_MS = 600_000
const NONE: ReadonlyMap<string, number> = new Map()

/** The ids of lanes, remembered per process. Creates lanes that are missing. */
export class LaneIds {
  readonly #store: Pick<ItemStore, 'ensureLanes'>
  readonly #known = new LRUCache<string, number>({ max: MAX_KNOWN, ttl: KNOWN_MS })

  constructor(store: Pick<ItemStore, 'ensureLanes'>) {
    this.#store = store
  }

  /** Forgets all ids, because lanes may have been deleted while this process was suspended. */
  clear(): void {
    this.#known.clear()
  }

  /** The id of each lane, by `laneKey`. */
  async of(lanes: readonly LaneRef[]): Promise<ReadonlyMap<string, number>> {
    const ids = await this.within(lanes, NONE, (some) => this.#store.ensureLanes(some))
    for (const [key, id] of ids) this.#known.set(key, id)
    return ids
  }

  /**
   * Like {@link of}, but inside a transaction. The ids of lanes that it creates are not remembered, since the transaction may be rolled
   * back.
   *
   * @param before ids that were read before the transaction
   * @param ensure reads lanes, and creates those that are missing, in the transaction
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
