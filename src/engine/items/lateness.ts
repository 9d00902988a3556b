/** How many claims it remembers. */
const CLAIMS = 16

/**
 * How late the items of a kind begin, on this node. A delay that all of them have, such as a slow database or a resource that takes long to
 * borrow, leaves the time between them as it is. So only what an item is later than the others counts.
 */
export class Lateness {
  readonly #claims: number[] = []
  readonly #seen = new WeakSet()

  /**
   * Whether the item would begin too close to the next place in time.
   *
   * @param claim identifies the claim of the item
   */
  isTooLate(claim: object, lateMs: number, allowedMs: number): boolean {
    // Once for each claim: what one stall has delayed must not look usual.
    if (!this.#seen.has(claim)) {
      this.#seen.add(claim)
      this.#claims.push(lateMs)
      if (this.#claims.length > CLAIMS) this.#claims.shift()
    }
    return lateMs - Math.max(0, Math.min(...this.#claims)) > allowedMs
  }
}
