import { PikoError, toError } from '../../errors.ts'
import { toJson } from '../../json/json.ts'
import type { AddedItems, ItemAdder, ItemData } from '../../job/items/adding.ts'
import type { ItemPolicy } from '../../job/items/item-policy.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { OpenItems } from '../../store/items/item-runs.ts'
import type { Clock } from '../../clock.ts'
import type { LiveAttempt } from '../attempt/live-attempt.ts'
import { ItemReader, type PendingItem, withLanes } from './adding.ts'
import type { LaneIds } from './lane-ids.ts'
import type { LaneWaker } from './lane-waker.ts'

/** The maximum number of items in one transaction. */
const MAX_SEEDS = 1_000
/** The approximate maximum size of the items in one transaction, in bytes. */
const MAX_SEED_BYTES = 4_000_000
/** How often a run checks whether items of its older generation have ended. */
const ENDING_MS = 200

export interface RootItemsParts {
  readonly store: Pick<ItemStore, 'now' | 'openOf' | 'addSeeds' | 'endSeeds'>
  readonly lanes: LaneIds
  readonly waker: LaneWaker
  readonly clock: Clock
}

/** The items that the handler of a run adds. */
export class RootItems implements ItemAdder<ItemData> {
  readonly #parts: RootItemsParts
  readonly #attempt: LiveAttempt
  readonly #policy: ItemPolicy
  readonly #open: OpenItems | undefined
  #hasBegun: boolean
  #calls = 0
  #now: Promise<() => number> | undefined
  #failure: Error | undefined
  readonly #pending = new Set<Promise<unknown>>()

  private constructor(parts: RootItemsParts, attempt: LiveAttempt, policy: ItemPolicy, open: OpenItems | undefined) {
    this.#parts = parts
    this.#attempt = attempt
    this.#policy = policy
    this.#open = open
    this.#hasBegun = open !== undefined
  }

  /**
   * Opens the items of an attempt, including those of earlier attempts. After a replay of the run, waits until its old items have ended.
   */
  static async open(parts: RootItemsParts, attempt: LiveAttempt, policy: ItemPolicy): Promise<RootItems> {
    for (;;) {
      const open = await parts.store.openOf(attempt.claim.runId)
      if (open !== 'ending') return new RootItems(parts, attempt, policy, open)
      await parts.clock.sleep(ENDING_MS)
      attempt.throwIfAborted()
    }
  }

  /** The generation of the items: the fence of the claim that added the first of them. */
  get fence(): number {
    return this.#open?.fence ?? this.#attempt.claim.fence
  }

  /**
   * The generation if an earlier attempt has already added all items, so that the handler need not be called again. Otherwise undefined.
   */
  get seeded(): OpenItems | undefined {
    return this.#open?.isSeeded ? this.#open : undefined
  }

  /** Whether the run has items. If so, it ends only when they have ended. */
  get hasItems(): boolean {
    // The handler may return before its first items are stored.
    return this.#hasBegun || this.#pending.size > 0
  }

  add(kind: string, values: unknown, options?: unknown): Promise<AddedItems> {
    const adding = this.#add(kind, values, options)
    this.#pending.add(adding)
    const over = (): void => void this.#pending.delete(adding)
    adding.then(over, (error: unknown) => {
      // If the handler does not await this promise, `end` throws the error.
      this.#failure ??= toError(error)
      over()
    })
    return adding
  }

  /**
   * Waits for all calls to `add`, including those that the handler did not await, and records that all items were added.
   *
   * @throws the error of a call
   */
  async end(output: unknown): Promise<void> {
    await Promise.allSettled([...this.#pending])
    if (this.#failure) throw this.#failure
    if (!this.#hasBegun) return
    const { claim, nodeId } = this.#attempt
    await this.#parts.store.endSeeds({ nodeId, claim, fence: this.fence, output: toJson(output, 'output') })
  }

  async #add(kind: string, values: unknown, options: unknown): Promise<AddedItems> {
    const { claim, isHandled } = this.#attempt
    if (isHandled) {
      throw new PikoError('USAGE', `run ${claim.runId} of job "${claim.jobId}" added items after its handler had ended`)
    }
    const call = (this.#calls += 1)
    let index = 0
    const now = await this.#clock()
    const reader = new ItemReader(
      {
        ...{ jobId: claim.jobId, policy: this.#policy, fence: this.fence, parentId: undefined, depth: 0 },
        now,
        unique: () => `${call}/${index}`,
      },
      kind,
      values,
      options,
    )
    let [batch, bytes]: [PendingItem[], number] = [[], 0]
    let sum: AddedItems = { added: 0, duplicates: 0 }
    const store = async (): Promise<void> => {
      sum = sumOf(sum, await this.#store(reader, batch))
      batch = []
      bytes = 0
    }
    for await (const value of values as AsyncIterable<unknown>) {
      this.#attempt.throwIfAborted()
      const item = reader.item(value, index)
      index += 1
      if (!item) continue
      batch.push(item)
      bytes += (item.data?.length ?? 0) + item.key.length
      if (batch.length >= MAX_SEEDS || bytes >= MAX_SEED_BYTES) await store()
    }
    if (batch.length > 0 || reader.left.size > 0) await store()
    return sum
  }

  /** Returns the database's clock, so that `due` and the periods of `within` mean the same on all nodes. */
  async #clock(): Promise<() => number> {
    const { clock, store } = this.#parts
    this.#now ??= (async () => {
      const databaseMs = await store.now()
      const readAt = clock.monotonic()
      return () => databaseMs + clock.monotonic() - readAt
    })()
    return this.#now
  }

  async #store(reader: ItemReader, batch: readonly PendingItem[]): Promise<AddedItems> {
    this.#attempt.throwIfAborted()
    const { claim, nodeId } = this.#attempt
    const items = await withLanes(batch, (lanes) => this.#parts.lanes.of(lanes))
    const left = new Map(reader.left)
    reader.left.clear()
    const isFirst = !this.#hasBegun
    const stored = await this.#parts.store.addSeeds({
      ...{ nodeId, claim, fence: this.fence, kind: reader.kind },
      ...{ isFirst, items, left },
    })
    this.#hasBegun = true
    this.#parts.waker.wake(items.map(({ laneId }) => laneId))
    return stored
  }
}

function sumOf(one: AddedItems, other: AddedItems): AddedItems {
  return { added: one.added + other.added, duplicates: one.duplicates + other.duplicates }
}
