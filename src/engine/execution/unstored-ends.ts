import type { RunStore } from '../../store/runs/run-store.ts'
import type { Clock } from '../../clock.ts'
import type { Finish } from '../../store/runs/finish.ts'

/** How often this node tries again to store an outcome. */
export const REPEAT_MS = 60_000
/** The maximum number of kept outcomes. Further ones are dropped, and recovery returns their runs to the queue. */
const MAX_UNSTORED = 10_000

interface Unstored {
  readonly nodeId: string
  readonly finish: Finish
}

/**
 * Outcomes that the database refuses, even as plain failures. Their runs stay claimed by this node, because in the queue they would run
 * again and again. A person may fix the cause, so this node tries again from time to time.
 */
export class UnstoredEnds {
  readonly #runs: Pick<RunStore, 'finish'>
  readonly #clock: Clock
  readonly #byFence = new Map<number, Unstored>()
  #repeating: AbortController | undefined

  constructor(runs: Pick<RunStore, 'finish'>, clock: Clock) {
    this.#runs = runs
    this.#clock = clock
  }

  get fences(): Iterable<number> {
    return this.#byFence.keys()
  }

  add(nodeId: string, finish: Finish): void {
    if (this.#byFence.size >= MAX_UNSTORED) return
    this.#byFence.set(finish.claim.fence, { nodeId, finish })
    if (this.#repeating) return
    this.#repeating = new AbortController()
    void this.#repeat(this.#repeating.signal)
  }

  stop(): void {
    this.#repeating?.abort()
    this.#repeating = undefined
    this.#byFence.clear()
  }

  async #repeat(signal: AbortSignal): Promise<void> {
    while (this.#byFence.size > 0) {
      await this.#clock.sleep(REPEAT_MS, signal)
      for (const [fence, unstored] of this.#byFence) {
        if (signal.aborted) return
        if (await this.#isStored(unstored)) this.#byFence.delete(fence)
      }
    }
    this.#repeating = undefined
  }

  /** Tries to store an outcome. Also returns true if the claim no longer belongs to this node. Only the first refusal is reported. */
  async #isStored({ nodeId, finish }: Unstored): Promise<boolean> {
    return this.#runs.finish(nodeId, [finish]).then(
      () => true,
      () => false,
    )
  }
}
