import type { ItemStore } from '../../store/items/item-store.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { ItemRunner } from './item-runner.ts'
import type { LaneTurns } from './lane-turns.ts'

export interface ItemDispatcherParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'claim'>
  readonly nodes: Pick<NodeStore, 'countLive'>
  readonly runner: Pick<ItemRunner, 'room' | 'over' | 'take'>
  readonly turns: Pick<LaneTurns, 'leadMs' | 'usualMs' | 'read' | 'answered'>
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
/** How often the live nodes are counted while items are claimed, in milliseconds. */
const COUNTED_MS = 1_000

/** Claims due items for the free slots of this node, slightly before they may begin. */
export class ItemDispatcher extends LoopService {
  readonly #parts: ItemDispatcherParts
  #idleMs = FIRST_IDLE_MS
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
    const { store, runner, turns, nodeId, holdsLease, pollIntervalMs, scopes, jobIds, ownRuns, clock, concurrency } =
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
      ...{
        leadMs: Math.ceil(turns.leadMs),
        leastMs: Math.ceil(turns.usualMs),
        monotonic: () => clock.monotonic(),
        over: runner.over,
      },
      read: (clockReading) => turns.read(clockReading),
      // If there are several nodes, items that are waiting here for a slot would block the lane for the other nodes.
      ...(this.#isAlone && { slots: concurrency }),
    })
    if (reading) {
      turns.answered(reading)
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
