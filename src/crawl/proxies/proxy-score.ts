/** The recent results of a proxy. */
export interface ProxyScore {
  /** The share of successful requests, from 0 to 1. About the last 40 requests have most of the weight. */
  readonly successShare: number
  /** The average time of a successful request, in milliseconds; undefined before the first success. */
  readonly ms: number | undefined
  readonly requests: number
}

export const NEW_SCORE: ProxyScore = { successShare: 1, ms: undefined, requests: 0 }

const ALPHA = 0.05
/** Time differences much smaller than this have little effect, because a reliable proxy is more important than a fast one. */
const FAST_MS = 250
/** A failing proxy has at least this fraction of the best proxy's weight. It is still used sometimes, because it may recover. */
const SMALLEST_SHARE = 0.005

/** Returns a score that includes one more request. Pure. */
export function scored(score: ProxyScore, isOk: boolean, ms: number): ProxyScore {
  const mix = (old: number, now: number): number => old + ALPHA * (now - old)
  return {
    successShare: mix(score.successShare, Number(isOk)),
    ms: isOk ? mix(score.ms ?? ms, ms) : score.ms,
    requests: score.requests + 1,
  }
}

/** Returns the weight for the random choice of a proxy. Among proxies that always work, faster ones get a higher weight. Pure. */
export function weightOf({ successShare, ms = 0 }: ProxyScore): number {
  return successShare ** 8 * (FAST_MS / (FAST_MS + ms)) ** 2
}

/**
 * Chooses one candidate at random, weighted by score. Pure.
 *
 * @param random a random number from 0 to 1
 * @returns undefined if there are no candidates
 */
export function chosen<T>(candidates: readonly T[], score: (one: T) => ProxyScore, random: number): T | undefined {
  const weights = candidates.map((one) => weightOf(score(one)))
  const least = Math.max(...weights) * SMALLEST_SHARE
  const shares = weights.map((weight) => Math.max(weight, least, Number.MIN_VALUE))
  let left = random * shares.reduce((sum, share) => sum + share, 0)
  for (const [index, share] of shares.entries()) {
    left -= share
    if (left < 0) return candidates[index]
  }
  return candidates.at(-1)
}
