import type { ItemStore } from '../../store/items/item-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

const POLL_MS = 500
/** The shortest time between two looks. */
const MIN_POLL_MS = 20

export interface RootWaitsParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'idle'>
}

/** Runs of this node that wait for the end of their items. One query for all of them, and none while there are none. */
export class RootWaits extends LoopService {
  readonly #parts: RootWaitsParts
  readonly #waiting = new Map<number, () => void>()

  constructor(parts: RootWaitsParts) {
    super('item-waits', parts)
    this.#parts = parts
  }

  /** Calls `onIdle` once no item of the generation is queued or running. Returns a function that ends the wait. */
  add(fence: number, onIdle: () => void): () => void {
    this.#waiting.set(fence, onIdle)
    this.wake()
    return () => {
      if (this.#waiting.get(fence) === onIdle) this.#waiting.delete(fence)
    }
  }

  /** Items of these generations have ended here, so their runs may be over. */
  ended(fences: Iterable<number>): void {
    for (const fence of fences) if (this.#waiting.has(fence)) return this.wake()
  }

  protected override async step(): Promise<number> {
    if (this.#waiting.size === 0) return Infinity
    for (const fence of await this.#parts.store.idle([...this.#waiting.keys()])) {
      const onIdle = this.#waiting.get(fence)
      this.#waiting.delete(fence)
      onIdle?.()
    }
    await this.#parts.clock.sleep(MIN_POLL_MS)
    return POLL_MS - MIN_POLL_MS
  }
}
