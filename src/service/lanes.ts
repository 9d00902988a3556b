import { Sequence } from '../sequence.ts'

/** Runs pieces of work one after another in each lane. Lanes are independent of each other. */
export class Lanes {
  /** The work of each lane, by the object that names the lane. */
  readonly #lanes = new WeakMap<object, Sequence>()

  /** Waits until the earlier work of the lane has ended, and then runs this work. */
  run(lane: object, work: () => Promise<void>): Promise<void> {
    const sequence = this.#lanes.get(lane) ?? new Sequence()
    this.#lanes.set(lane, sequence)
    return sequence.take(work)
  }
}
