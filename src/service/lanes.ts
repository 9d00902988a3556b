/** Runs pieces of work one after another in each lane. Lanes are independent of each other. */
export class Lanes {
  /** The end of the last piece of work of each lane, by the object that names the lane. */
  readonly #ends = new WeakMap<object, Promise<void>>()

  /** Waits until the earlier work of the lane has ended, and then runs this work. */
  async run(lane: object, work: () => Promise<void>): Promise<void> {
    const before = this.#ends.get(lane)
    const turn = Promise.withResolvers<void>()
    this.#ends.set(lane, turn.promise)
    await before
    try {
      await work()
    } finally {
      turn.resolve()
    }
  }
}
