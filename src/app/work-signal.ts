import type { Clock } from '../clock.ts'

export interface SignalParts {
  readonly dispatcher: { expect(runAts: readonly Date[]): void; wake(): void }
  readonly doorbell: { ring(): void }
  /** Returns how many more runs this node could begin now. */
  readonly freeSlots: () => number
  readonly clock: Clock
}

/** Announces work to this node's dispatcher, and to other nodes if there are more runs than free slots here. */
export class WorkSignal {
  readonly #parts: SignalParts

  constructor(parts: SignalParts) {
    this.#parts = parts
  }

  /** Announces that runs with these due times are stored. */
  dueAt(runAts: readonly Date[]): void {
    const { dispatcher, clock } = this.#parts
    dispatcher.expect(runAts)
    const now = clock.now()
    this.#ring(runAts.reduce((count, runAt) => (runAt.getTime() <= now ? count + 1 : count), 0))
  }

  /** Announces that this many runs can begin now. They were stored earlier. */
  queued(count: number): void {
    this.#parts.dispatcher.wake()
    this.#ring(count)
  }

  #ring(due: number): void {
    if (due > 0 && due > this.#parts.freeSlots()) this.#parts.doorbell.ring()
  }
}
