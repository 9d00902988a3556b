import type { Events } from '../../events.ts'
import { summedItems } from '../../item/item-counts.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { LOST_CLASS } from '../../store/items/lost-items.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { ItemRunner } from './item-runner.ts'

export interface ItemSweeperParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'sweep' | 'counts' | 'running' | 'forget' | 'forgetNotes'>
  readonly runner: Pick<ItemRunner, 'held' | 'fences' | 'runs' | 'stopEnded'>
  readonly nodeId: () => string
  readonly leaseMs: number
  /** An item is dead after this many deaths of its nodes. */
  readonly lostAttempts: number
  readonly events: Events
  /** Called when items have returned to the queue. */
  readonly onQueued: () => void
}

const LOOK_MS = 1_000
const BUSY_MS = 50
/** How often items of deleted runs are deleted. */
const FORGET_MS = 60_000
/** The interval in which expired notes are searched and deleted. */
const FORGET_NOTES_MS = 3_600_000

/**
 * Handles items that no other part handles: those of dead nodes and of ended runs. It also wakes lanes that rest although they have queued
 * items. Each second it also ends the items of this node whose run has been cancelled.
 */
export class ItemSweeper extends LoopService {
  readonly #parts: ItemSweeperParts
  #sweepAt = 0
  #forgetAt = 0
  #checkedLane = 0
  #checkedFence = 0
  #forgetNotesAt = 0

  constructor(parts: ItemSweeperParts) {
    super('item-sweeper', parts)
    this.#parts = parts
  }

  /** Returns the items of a node that died just now, before this node begins to work. */
  protected override async onStart(): Promise<void> {
    await this.#sweep()
    super.onStart()
  }

  protected override async step(): Promise<number> {
    const { runner, clock } = this.#parts
    const { fences } = runner
    await runner.runs.load(fences)
    runner.stopEnded()
    await this.#tellProgress(fences)
    runner.runs.keep(fences)
    if (clock.monotonic() < this.#sweepAt) return LOOK_MS
    const isMore = await this.#sweep()
    if (clock.monotonic() >= this.#forgetAt) {
      this.#forgetAt = (await this.#parts.store.forget()) ? 0 : clock.monotonic() + FORGET_MS
    }
    if (clock.monotonic() >= this.#forgetNotesAt) {
      this.#forgetNotesAt = (await this.#parts.store.forgetNotes()) ? 0 : clock.monotonic() + FORGET_NOTES_MS
    }
    return isMore || this.#forgetAt === 0 ? BUSY_MS : LOOK_MS
  }

  async #tellProgress(fences: ReadonlySet<number>): Promise<void> {
    const { store, runner, events } = this.#parts
    for (const fence of fences) {
      const info = runner.runs.get(fence)
      if (!info) continue
      const [counts, running] = await Promise.all([store.counts(fence), store.running(fence)])
      const { all } = summedItems(counts, running)
      events.emit('items.progress', { runId: info.run.id, jobId: info.run.job_id, ...all })
    }
  }

  /** @returns whether the next sweep should follow immediately */
  async #sweep(): Promise<boolean> {
    const { store, runner, nodeId, leaseMs, lostAttempts, clock, events, onQueued } = this.#parts
    const everyMs = leaseMs / 3
    const { recovered, dead, isMore, checkedLane, checkedFence } = await store.sweep({
      ...{ nodeId: nodeId(), held: () => runner.held, unheldMs: everyMs, lostAttempts },
      ...{ checkedLane: this.#checkedLane, checkedFence: this.#checkedFence },
    })
    this.#checkedLane = checkedLane
    this.#checkedFence = checkedFence
    if (recovered > 0) onQueued()
    for (const item of dead) events.emit('item.dead', { ...item, class: LOST_CLASS })
    this.#sweepAt = isMore ? 0 : clock.monotonic() + Math.min(everyMs, SWEEP_MS)
    return isMore
  }
}

const SWEEP_MS = 3_000
