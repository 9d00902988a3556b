/** How many of the last claims are compared. */
const CLAIMS = 16

/**
 * How late the items of a kind begin on this node. A delay that all items share, such as that of a slow database or resource, does not
 * change the distance between them. So a delay matters only if it is longer than that of the other items.
 */
export class Lateness {
  readonly #claims: number[] = []
  readonly #seen = new WeakSet()

  /**
   * Whether the item would begin too close to the next item of its lane.
   *
   * @param claim identifies the item's claim
   */
  isTooLate(claim: object, lateMs: number, allowedMs: number): boolean {
    // Only one item of each claim is kept. Otherwise a stall that delays a whole claim would look normal.
    if (!this.#seen.has(claim)) {
      this.#seen.add(claim)
      this.#claims.push(lateMs)
      if (this.#claims.length > CLAIMS) this.#claims.shift()
    }
    return lateMs - Math.max(0, Math.min(...this.#claims)) > allowedMs
  }
}
