import type { ItemStore } from '../../store/items/item-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

const POLL_MS = 500
/** The minimum time between two queries, in milliseconds. */
const MIN_POLL_MS = 20

export interface RootWaitsParts extends LoopServiceParts {
  readonly store: Pick<ItemStore, 'idle'>
}

/**
 * The runs of this node that are waiting until their items have ended. One query serves all of them; without such runs there is no query.
 */
export class RootWaits extends LoopService {
  readonly #parts: RootWaitsParts
  readonly #waiting = new Map<number, () => void>()

  constructor(parts: RootWaitsParts) {
    super('item-waits', parts)
    this.#parts = parts
  }

  /**
   * Calls `onIdle` when no item of the generation is queued or running.
   *
   * @returns a function that cancels the wait
   */
  add(fence: number, onIdle: () => void): () => void {
    this.#waiting.set(fence, onIdle)
    this.wake()
    return () => {
      if (this.#waiting.get(fence) === onIdle) this.#waiting.delete(fence)
    }
  }

  /** Checks soon whether runs can end. Called when items of these generations have ended on this node. */
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
