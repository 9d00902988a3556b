import { type RateLimit } from '../job/admission.ts'

/** Attempts that began, oldest first: `[milliseconds since the epoch, count]`. */
export type Starts = readonly (readonly [number, number])[]

/** A window is kept in so many parts, however large its limit: a place is free again at most 1/64 of the window late. */
const PARTS = 64

function partMs({ perMs }: RateLimit): number {
  return Math.max(1, Math.ceil(perMs / PARTS))
}

/**
 * Those that still count. An instant of the future is one of a clock that was set back since, and counts as now: it must
 * not hold up the rate for longer than its window.
 */
export function startsSince(starts: Starts, nowMs: number, limit: RateLimit): Starts {
  const latest = nowMs + partMs(limit)
  return starts.map(([at, count]) => [Math.min(at, latest), count] as const).filter(([at]) => at > nowMs - limit.perMs)
}

/**
 * Milliseconds until one more may begin; 0: now.
 *
 * @param added those that begin now and are not in `starts` yet
 */
export function untilFree(starts: Starts, added: number, nowMs: number, { limit, perMs }: RateLimit): number {
  let over = starts.reduce((sum, [, count]) => sum + count, added) - limit + 1
  if (over <= 0) return 0
  for (const [at, count] of starts) {
    over -= count
    if (over <= 0) return Math.max(1, at + perMs - nowMs)
  }
  return perMs
}

/** With those that begin now: counted at the end of their part of the window, so that no window ever holds more than the limit. */
export function withStarts(starts: Starts, added: number, nowMs: number, limit: RateLimit): Starts {
  const part = partMs(limit)
  const at = Math.ceil(nowMs / part) * part
  const last = starts.at(-1)
  if (last && last[0] >= at) return [...starts.slice(0, -1), [last[0], last[1] + added]]
  return [...starts, [at, added]]
}
