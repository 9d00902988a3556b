/** The number of claims whose lateness is remembered. */
const CLAIMS = 16

/**
 * How late the items of a kind begin on this node. A delay that all items share, such as that of a slow database or resource, does not
 * change the time between them. So only the time by which an item is later than the others matters.
 */
export class Lateness {
  readonly #claims: number[] = []
  readonly #seen = new WeakSet()

  /**
   * Whether the item would begin too close to the next item of its lane.
   *
   * @param claim identifies the claim of the item
   */
  isTooLate(claim: object, lateMs: number, allowedMs: number): boolean {
    // Only one item of each claim is remembered, so that a stall that delays a whole claim does not look normal.
    if (!this.#seen.has(claim)) {
      this.#seen.add(claim)
      this.#claims.push(lateMs)
      if (this.#claims.length > CLAIMS) this.#claims.shift()
    }
    return lateMs - Math.max(0, Math.min(...this.#claims)) > allowedMs
  }
}
