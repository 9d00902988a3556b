import { setTimeout as sleep } from 'node:timers/promises'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { LoopHealth } from '../loop/loop-health.ts'

const RETRY_MS = 200
const MAX_FAILURES = 5

export interface LaneWakerParts {
  readonly store: Pick<ItemStore, 'wakeLanes'>
  readonly loops: LoopHealth
  /** Called when lanes of this node have been woken. */
  readonly onWoken: () => void
}

/** Wakes lanes, many with one statement. The sweep wakes the lanes that this node fails to wake. */
export class LaneWaker {
  readonly #parts: LaneWakerParts
  #ids = new Set<number>()
  #isBusy = false

  constructor(parts: LaneWakerParts) {
    this.#parts = parts
  }

  wake(ids: Iterable<number>): void {
    for (const id of ids) this.#ids.add(id)
    if (this.#ids.size > 0 && !this.#isBusy) void this.#work()
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    for (let failures = 0; this.#ids.size > 0 && failures < MAX_FAILURES;) {
      const ids = [...this.#ids]
      this.#ids = new Set()
      try {
        await this.#parts.store.wakeLanes(ids)
        if (failures > 0) this.#parts.loops.recovered('item-lanes', failures)
        failures = 0
        this.#parts.onWoken()
      } catch (thrown) {
        failures += 1
        for (const id of ids) this.#ids.add(id)
        this.#parts.loops.failed({ loop: 'item-lanes', thrown, retryInMs: RETRY_MS, failures })
        await sleep(RETRY_MS)
      }
    }
    this.#isBusy = false
  }
}
