import type { Events } from '../../events.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { LOST_CLASS } from '../../store/items/lost-items.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { ItemProgress } from './measures/item-progress.ts'
import type { ItemRunner } from './item-runner.ts'
import type { KeptBytes } from './kept-bytes.ts'
import type { LaneSpeeds } from './measures/lane-speeds.ts'
import type { LoopPressure } from './measures/loop-pressure.ts'

export interface ItemSweeperParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'sweep' | 'openLanes' | 'forget' | 'forgetNotes' | 'forgetSpeeds' | 'forgetLanes'>
  readonly runner: Pick<ItemRunner, 'held' | 'fences' | 'runs' | 'stopEnded'>
  readonly nodeId: () => string
  readonly leaseMs: number
  /** An item is dead if this many nodes have died while they executed it. */
  readonly lostAttempts: number
  readonly events: Events
  readonly progress: ItemProgress
  readonly speeds: LaneSpeeds
  readonly pressure: LoopPressure
  readonly kept: Pick<KeptBytes, 'forgetSome'>
  /** Called when items have returned to the queue. */
  readonly onQueued: () => void
}

const LOOK_MS = 1_000
const BUSY_MS = 50
/** How often the items of deleted runs are deleted. */
const FORGET_MS = 60_000
/** How often rarely needed deletions run: expired notes, old measurements, unused lanes and unused files. */
const FORGET_RARE_MS = 3_600_000
const NO_LANES: ReadonlyMap<string, number> = new Map()

/**
 * Handles items that no other part handles: those of dead nodes and of ended runs. Wakes lanes that no claim reads although they have
 * queued items. Once per second, it also ends this node's items of cancelled runs.
 */
export class ItemSweeper extends LoopService {
  readonly #parts: ItemSweeperParts
  #lookAt = 0
  #sweepAt = 0
  #forgetAt = 0
  #checkedLane = 0
  #checkedFence = 0
  #forgetRareAt = 0
  #forgottenLane = 0
  #openLanes = NO_LANES

  constructor(parts: ItemSweeperParts) {
    super('item-sweeper', parts)
    this.#parts = parts
  }

  /** How many lanes of each scope had an open circuit breaker a few seconds ago. */
  get openLanes(): ReadonlyMap<string, number> {
    return this.#openLanes
  }

  /** Does a first sweep before this node begins to work. It puts the items of a node that has just died back into the queue. */
  protected override async onStart(): Promise<void> {
    await this.#sweep()
    super.onStart()
  }

  protected override async step(): Promise<number> {
    const { runner, clock } = this.#parts
    const { fences } = runner
    await runner.runs.load(fences)
    runner.stopEnded()
    if (clock.monotonic() >= this.#lookAt) await this.#look(fences)
    // Items may have been claimed after the generations were read.
    runner.runs.keep(runner.fences)
    if (clock.monotonic() < this.#sweepAt) return LOOK_MS
    const isMore = await this.#sweep()
    if (clock.monotonic() >= this.#forgetAt) {
      this.#forgetAt = (await this.#parts.store.forget()) ? 0 : clock.monotonic() + FORGET_MS
    }
    if (clock.monotonic() >= this.#forgetRareAt) {
      this.#forgetRareAt = (await this.#forgetRare()) ? 0 : clock.monotonic() + FORGET_RARE_MS
    }
    return isMore || this.#forgetAt === 0 || this.#forgetRareAt === 0 ? BUSY_MS : LOOK_MS
  }

  /** Does the work that is needed once per second, even if sweeps follow each other faster. */
  async #look(fences: ReadonlySet<number>): Promise<void> {
    const { progress, pressure, speeds, clock } = this.#parts
    this.#lookAt = clock.monotonic() + LOOK_MS - BUSY_MS
    await progress.tell(fences)
    pressure.look()
    await speeds.store(pressure.isLate)
  }

  /**
   * Does a part of the rarely needed deletions.
   *
   * @returns whether there is more to delete
   */
  async #forgetRare(): Promise<boolean> {
    const { store } = this.#parts
    const areNotesLeft = await store.forgetNotes()
    const areSpeedsLeft = await store.forgetSpeeds()
    this.#forgottenLane = await store.forgetLanes(this.#forgottenLane)
    const areFilesLeft = await this.#forgetFiles()
    return areNotesLeft || areSpeedsLeft || this.#forgottenLane > 0 || areFilesLeft
  }

  /** Deletes unused files. If the folder can't be read, the sweeper continues with its other work. */
  async #forgetFiles(): Promise<boolean> {
    const { kept, loops } = this.#parts
    try {
      return await kept.forgetSome()
    } catch (thrown) {
      loops.failed({ loop: 'item-files', thrown, retryInMs: FORGET_RARE_MS, failures: 1 })
      return false
    }
  }

  /**
   * Does one sweep.
   *
   * @returns whether the next one should follow immediately
   */
  async #sweep(): Promise<boolean> {
    const { store, runner, nodeId, leaseMs, lostAttempts, clock, events, onQueued } = this.#parts
    const everyMs = leaseMs / 3
    const { recovered, dead, isMore, checkedLane, checkedFence } = await store.sweep({
      ...{ nodeId: nodeId(), held: () => runner.held, unheldMs: everyMs, lostAttempts },
      ...{ checkedLane: this.#checkedLane, checkedFence: this.#checkedFence },
    })
    this.#checkedLane = checkedLane
    this.#checkedFence = checkedFence
    this.#openLanes = await store.openLanes()
    if (recovered > 0) onQueued()
    for (const item of dead) events.emit('item.dead', { ...item, class: LOST_CLASS, error: undefined })
    this.#sweepAt = isMore ? 0 : clock.monotonic() + Math.min(everyMs, SWEEP_MS)
    return isMore
  }
}

const SWEEP_MS = 3_000
