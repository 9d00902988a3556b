/** How a proxy has done lately. */
export interface ProxyScore {
  /** From 0 to 1; the last 40 or so requests count most. */
  readonly successShare: number
  /** Milliseconds of a request; undefined before the first success. */
  readonly ms: number | undefined
  readonly requests: number
}

export const NEW_SCORE: ProxyScore = { successShare: 1, ms: undefined, requests: 0 }

const ALPHA = 0.05
/** Differences in time that are small beside this don't matter: a proxy that answers is worth more than a fast one. */
const FAST_MS = 250
/** A proxy that fails is still asked now and then, because it may work again. */
const SMALLEST_SHARE = 0.005

/** The score after a request. Pure. */
export function scored(score: ProxyScore, isOk: boolean, ms: number): ProxyScore {
  const mix = (old: number, now: number): number => old + ALPHA * (now - old)
  return {
    successShare: mix(score.successShare, Number(isOk)),
    ms: isOk ? mix(score.ms ?? ms, ms) : score.ms,
    requests: score.requests + 1,
  }
}

/** How often a proxy is chosen beside others: those that always work share the work by their speed. Pure. */
export function weightOf({ successShare, ms = 0 }: ProxyScore): number {
  return successShare ** 8 * (FAST_MS / (FAST_MS + ms)) ** 2
}

/**
 * Chooses by weight. Pure.
 *
 * @param random from 0 to 1
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
