/** One part of the queue. */
export interface Share {
  readonly index: number
  readonly of: number
}

const MAX_LEVEL = 5
/**
 * A claim of the whole queue takes a share only after more than one conflict in a row. A single conflict may be chance. Two show that nodes
 * on other cluster members claim the same runs.
 */
const CALM_TRIES = 2

/**
 * Spreads the claims of nodes on different members of a cluster. SKIP LOCKED sees only the locks of its own member. Without a spread, all
 * nodes would claim the first runs of the queue, and all but one would get a conflict on commit.
 *
 * After two conflicts in a row, a claim takes a random share of the due runs: a half, and after each further conflict a quarter … a 32nd.
 * Each claim without a conflict doubles the share again. On a single server every claim uses the whole queue.
 */
export class ClaimSpread {
  #level = 0

  /**
   * Runs a claim, and changes the share according to its conflicts.
   * @param claim calls `share` at the beginning of each try of its transaction
   */
  async claim<T>(claim: (share: () => Share | undefined) => Promise<T>): Promise<T> {
    let tries = 0
    const result = await claim(() => {
      tries += 1
      if (tries > CALM_TRIES || (tries > 1 && this.#level > 0)) this.#level = Math.min(MAX_LEVEL, this.#level + 1)
      return this.#share()
    })
    if (tries === 1 && this.#level > 0) this.#level -= 1
    return result
  }

  #share(): Share | undefined {
    if (this.#level === 0) return undefined
    const of = 2 ** this.#level
    return { index: Math.floor(of * Math.random()), of }
  }
}
