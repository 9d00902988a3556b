import type { Clock } from '../../clock.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { LoopHealth } from '../loop/loop-health.ts'
import { retried } from '../loop/retried.ts'

/** If this node fails to wake lanes this many times, it leaves them to the sweep. */
const MAX_FAILURES = 5

export interface LaneWakerParts {
  readonly store: Pick<ItemStore, 'wakeLanes'>
  readonly clock: Clock
  readonly loops: LoopHealth
  /** Called when this node has woken lanes. */
  readonly onWoken: () => void
}

/** Wakes lanes, many with one statement. If this fails, the sweep wakes them. */
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
    const { clock, loops, onWoken } = this.#parts
    this.#isBusy = true
    let failures = 0
    try {
      while (this.#ids.size > 0) {
        await retried(() => this.#wakeAll(), {
          clock,
          health: { loop: 'item-lanes', loops },
          isFinal: () => ++failures >= MAX_FAILURES,
        })
        failures = 0
        onWoken()
      }
    } catch {
      // The failure is already reported. The ids stay for the next call.
    }
    this.#isBusy = false
  }

  async #wakeAll(): Promise<void> {
    const ids = [...this.#ids]
    this.#ids = new Set()
    try {
      await this.#parts.store.wakeLanes(ids)
    } catch (thrown) {
      for (const id of ids) this.#ids.add(id)
      throw thrown
    }
  }
}
