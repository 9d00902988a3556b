import type { ItemStore } from '../../store/items/item-store.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { ItemRunner } from './item-runner.ts'

export interface ItemDispatcherParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'claim'>
  readonly nodes: Pick<NodeStore, 'countLive'>
  readonly runner: Pick<ItemRunner, 'room' | 'over' | 'take'>
  /** How many items this node runs at the same time. */
  readonly concurrency: number
  readonly nodeId: () => string
  readonly holdsLease: () => boolean
  readonly pollIntervalMs: number
  /** The scopes of lanes, and the jobs, for which this node has code. */
  readonly scopes: readonly string[]
  readonly jobIds: readonly string[]
  /** The runs that this process has requested, if it may execute no others. */
  readonly ownRuns: ReadonlySet<number> | undefined
}

/** The maximum number of items in one claim. */
const MAX_CLAIMED = 100
const FIRST_IDLE_MS = 20
const MAX_IDLE_MS = 500
/** The maximum lead, in milliseconds: the time from a claim to the start times of its items. It grows with the duration of claims. */
const MAX_LEAD_MS = 2_000
/** After a slow claim, each faster claim multiplies the lead by this factor. */
const LEAD_DECAY = 0.9
/** How often the live nodes are counted while items are claimed, in milliseconds. */
const COUNTED_MS = 1_000

/** Claims due items for the free slots of this node, slightly before they may begin. */
export class ItemDispatcher extends LoopService {
  readonly #parts: ItemDispatcherParts
  #idleMs = FIRST_IDLE_MS
  #leadMs = 0
  /** Whether the last claim found items. */
  #isBusy = false
  #isAlone = false
  #countedAt = -Infinity

  constructor(parts: ItemDispatcherParts) {
    super('item-dispatcher', parts)
    this.#parts = parts
  }

  /** Claims immediately. Called when there are new items, or when lanes can begin more items. */
  override wake(): void {
    this.#idleMs = FIRST_IDLE_MS
    super.wake()
  }

  protected override async step(): Promise<number> {
    const { store, runner, nodeId, holdsLease, pollIntervalMs, scopes, jobIds, ownRuns, clock, concurrency } =
      this.#parts
    const { room } = runner
    if (room <= 0 || ownRuns?.size === 0) return pollIntervalMs
    if (!holdsLease()) return FIRST_IDLE_MS
    await this.#count()
    const owner = nodeId()
    const { claims, nextInMs, reading } = await store.claim({
      ...{
        nodeId: owner,
        limit: Math.min(room, MAX_CLAIMED),
        scopes,
        jobIds,
        ...(ownRuns && { runIds: [...ownRuns] }),
      },
      ...{ leadMs: Math.ceil(this.#leadMs), monotonic: () => clock.monotonic(), over: runner.over },
      // If there are several nodes, items that are waiting here for a slot would block the lane for the other nodes.
      ...(this.#isAlone && { slots: concurrency }),
    })
    if (reading) {
      // The remaining time is doubled, because an item may also have to read its run or its kept bytes.
      const restMs = 2 * (clock.monotonic() - reading.readAt)
      this.#leadMs = Math.min(MAX_LEAD_MS, Math.max(restMs, this.#leadMs * LEAD_DECAY))
      runner.take(claims, owner, reading)
    }
    this.#isBusy = claims.length > 0
    if (this.#isBusy) {
      this.#idleMs = FIRST_IDLE_MS
      return 0
    }
    this.#idleMs = Math.min(MAX_IDLE_MS, pollIntervalMs, this.#idleMs * 2)
    return Math.max(1, Math.min(this.#idleMs, nextInMs === undefined || nextInMs <= 0 ? Infinity : nextInMs))
  }

  /** Counts the live nodes from time to time, but never while there are no items. */
  async #count(): Promise<void> {
    const { clock, nodes } = this.#parts
    const now = clock.monotonic()
    if (now - this.#countedAt < COUNTED_MS) return
    this.#isAlone = false
    if (!this.#isBusy) return
    this.#isAlone = (await nodes.countLive()) <= 1
    this.#countedAt = now
  }
}
