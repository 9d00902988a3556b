import { type Clock } from '../clock.ts'

export interface SignalParts {
  readonly dispatcher: { expect(runAts: readonly Date[]): void; wake(): void }
  readonly doorbell: { ring(): void }
  /** Runs that could begin here now. */
  readonly freeSlots: () => number
  readonly clock: Clock
}

/** Says that there is work: to this node's dispatcher, and to other nodes when it is more than this one has slots for. */
export class WorkSignal {
  readonly #parts: SignalParts

  constructor(parts: SignalParts) {
    this.#parts = parts
  }

  /** Runs were stored that are due at these times. */
  dueAt(runAts: readonly Date[]): void {
    const { dispatcher, clock } = this.#parts
    dispatcher.expect(runAts)
    const now = clock.now()
    this.#ring(runAts.reduce((count, runAt) => (runAt.getTime() <= now ? count + 1 : count), 0))
  }

  /** So many runs that were there already can begin now. */
  queued(count: number): void {
    this.#parts.dispatcher.wake()
    this.#ring(count)
  }

  #ring(due: number): void {
    if (due > 0 && due > this.#parts.freeSlots()) this.#parts.doorbell.ring()
  }
}
