import { headline } from '../../errors-read.ts'
import { batchesOf } from '../../sql/statement-size.ts'
import { isFaultOfItem } from '../../sql/database-faults.ts'
import type { EndedItem, ItemsEnded } from '../../store/items/end-items.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { LaneChange } from '../../store/items/settle-lanes.ts'
import { halved } from '../../store/statements/halved.ts'
import { Batcher } from '../loop/batcher.ts'
import { retried } from '../loop/retried.ts'
import type { Clock } from '../../clock.ts'
import type { LoopHealth } from '../loop/loop-health.ts'
import { type PendingItem, withLanes } from './adding.ts'
import type { LaneIds } from './lane-ids.ts'
import type { StoredPrints } from './stored-prints.ts'

/** The end of an item. The lanes of the items that it added have no ids yet. */
export interface ItemFinish extends Omit<EndedItem, 'added' | 'duplicates'> {
  readonly nodeId: string
  readonly added: readonly PendingItem[]
}

/**
 * `lost`: nothing was written, because this node no longer held the item, or the database refused even an end without
 * values. `dead`: the database refused the end of the item, so the item was stored as dead.
 */
export type ItemStored = 'stored' | 'lost' | 'dead'

const MAX_ENDS = 100
/**
 * The maximum total size of the items that one transaction adds, in bytes. It keeps the transaction short. An end that alone adds more gets
 * a transaction of its own.
 */
const MAX_ADDED_BYTES = 8_000_000
/** The estimated size of an added item without its data, in bytes. */
const ITEM_BYTES = 500

export interface ItemCompleterParts {
  readonly store: Pick<ItemStore, 'end'>
  readonly lanes: LaneIds
  readonly prints: StoredPrints
  readonly clock: Clock
  readonly loops: LoopHealth
  /** Receives the ids of lanes with new items. */
  readonly onLanes: (ids: Iterable<number>) => void
  /** Called when circuit breakers have opened or closed. */
  readonly onChanges: (changes: readonly LaneChange[]) => void
}

/** Stores the ends of items, many in one transaction. Retries if the database does not respond. */
export class ItemCompleter {
  readonly #parts: ItemCompleterParts
  readonly #batcher: Batcher<ItemFinish, ItemStored>
  #isAbandoned = false

  constructor(parts: ItemCompleterParts) {
    this.#parts = parts
    this.#batcher = new Batcher((ends) => this.#write(ends), { largest: MAX_ENDS, ifFailed: 'lost' })
  }

  finish(end: ItemFinish, stored: (how: ItemStored) => void): void {
    this.#batcher.push(end, stored)
  }

  idle(): Promise<void> {
    return this.#batcher.idle()
  }

  /** Stops retrying. Called if the process stops and the database does not respond. */
  abandon(): void {
    this.#isAbandoned = true
  }

  async #write(ends: readonly ItemFinish[]): Promise<ItemStored[]> {
    const others = new Map<ItemFinish, ItemStored>()
    for (const [nodeId, some] of Map.groupBy(ends, (end) => end.nodeId)) {
      for (const batch of batchesOf(some, addedBytes, { maxRows: MAX_ENDS, maxBytes: MAX_ADDED_BYTES })) {
        await halved(
          batch,
          (part) => this.#persist(nodeId, part, others),
          (end, refusal) => this.#persistDead(nodeId, end, refusal, others),
          isFaultOfItem,
        )
      }
    }
    return ends.map((end) => others.get(end) ?? 'stored')
  }

  async #persist(nodeId: string, ends: readonly ItemFinish[], others: Map<ItemFinish, ItemStored>): Promise<void> {
    const { lost, earlier, laneIds, changes } = await this.#retried(() => this.#store(nodeId, ends))
    for (const end of ends) {
      const { id } = end.held
      if (lost.has(id) && !earlier.has(id)) others.set(end, 'lost')
      else this.#parts.prints.add(end.added)
    }
    this.#parts.onLanes(laneIds)
    if (changes.length > 0) this.#parts.onChanges(changes)
  }

  async #store(nodeId: string, ends: readonly ItemFinish[]): Promise<ItemsEnded> {
    const { lanes, prints, store } = this.#parts
    const parts = ends.map(({ added }) => Map.groupBy(added, (item) => (prints.has(item) ? 'known' : 'fresh')))
    const items = await withLanes(
      parts.flatMap((part) => part.get('fresh') ?? []),
      (some) => lanes.of(some),
    )
    let from = 0
    const ended = ends.map((end, index): EndedItem => {
      const [fresh, known] = [parts[index]?.get('fresh') ?? [], parts[index]?.get('known') ?? []]
      return { ...end, added: items.slice(from, (from += fresh.length)), duplicates: byKind(known) }
    })
    return store.end(nodeId, ended)
  }

  /**
   * Stores only that an item is dead, after the database has refused its end. If this is refused too, the item counts as lost. The other
   * items of the batch are not affected.
   */
  async #persistDead(
    nodeId: string,
    end: ItemFinish,
    refusal: unknown,
    others: Map<ItemFinish, ItemStored>,
  ): Promise<void> {
    others.set(end, 'lost')
    const shown = `the end of the item could not be stored: ${headline(refusal)}`
    // The item's states keep their old values, because the database may have refused a new one. The last try stores no states at all.
    const freed = end.states.map((state) => ({ ...state, value: undefined }))
    for (const [message, states] of [
      [shown, freed],
      ['the end of the item could not be stored', []],
    ] as const) {
      const error = JSON.stringify({ name: 'Error', message })
      const reduced: ItemFinish = {
        ...end,
        ...{ added: [], left: new Map(), kept: undefined, lane: undefined, bytes: 0, states },
        end: { to: 'dead', reason: 'error', error, tries: '{}' },
      }
      try {
        const { lost, earlier } = await this.#retried(() => this.#store(nodeId, [reduced]))
        if (lost.size <= earlier.size) others.set(end, 'dead')
        return
      } catch (thrown) {
        if (this.#isAbandoned || !isFaultOfItem(thrown)) throw thrown
      }
    }
  }

  #retried<T>(write: () => Promise<T>): Promise<T> {
    const { clock, loops } = this.#parts
    return retried(write, {
      clock,
      health: { loop: 'item-completer', loops },
      isFinal: (thrown) => this.#isAbandoned || isFaultOfItem(thrown),
    })
  }
}

function addedBytes({ added }: ItemFinish): number {
  return added.reduce((sum, { data }) => sum + ITEM_BYTES + (data?.length ?? 0), 0)
}

/** Counts the items of each kind. */
function byKind(items: readonly PendingItem[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { kind } of items) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}
