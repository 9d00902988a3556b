import type { ItemStore } from '../../store/items/item-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { ItemRunner } from './item-runner.ts'

export interface ItemSweeperParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'sweep'>
  readonly runner: Pick<ItemRunner, 'held' | 'fences' | 'runs' | 'stopEnded'>
  readonly nodeId: () => string
  readonly leaseMs: number
  /** Called when items have returned to the queue. */
  readonly onQueued: () => void
}

const LOOK_MS = 1_000
const BUSY_MS = 50

/**
 * Looks after items that nobody else looks after: those of dead nodes, those of runs that have ended, and lanes that rest by mistake. Each
 * second it also ends the items of this node whose run has been cancelled.
 */
export class ItemSweeper extends LoopService {
  readonly #parts: ItemSweeperParts
  #sweepAt = 0

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
    runner.runs.keep(fences)
    if (clock.monotonic() < this.#sweepAt) return LOOK_MS
    return (await this.#sweep()) ? BUSY_MS : LOOK_MS
  }

  /** Returns whether more is left to do. */
  async #sweep(): Promise<boolean> {
    const { store, runner, nodeId, leaseMs, clock, onQueued } = this.#parts
    const everyMs = leaseMs / 3
    const { recovered, isMore } = await store.sweep({ nodeId: nodeId(), held: () => runner.held, unheldMs: everyMs })
    if (recovered > 0) onQueued()
    this.#sweepAt = isMore ? 0 : clock.monotonic() + Math.min(everyMs, SWEEP_MS)
    return isMore
  }
}

const SWEEP_MS = 3_000
