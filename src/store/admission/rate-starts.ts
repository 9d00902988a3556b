import type { RateLimit } from '../../run/limits.ts'

/**
 * Places in a rate, oldest first: `[milliseconds since the epoch, count]`. If a place has more slack than usual, its slack is the third
 * number.
 */
export type Starts = readonly (readonly [at: number, count: number, slackMs?: number])[]

/** How many parts a span has. Places in the same part share one entry, so that rows stay small even for a large limit. */
const PARTS = 128

/**
 * The slack, as a share of the span. In spans of at least a second, slack and rounding up to a part delay the next use of a place by at
 * most a twentieth of the span.
 */
const SLACK_SHARE = 0.04
/** The minimum slack. A busy machine needs this much, however short the span is. */
const MIN_SLACK_MS = 40
const MAX_SLACK_MS = 1_000
/** The maximum slack. A node that needs more is blocked most of the time. */
const MAX_GROWN_SLACK_MS = 60_000
/** The share of the slack in which the handler may begin. The rest is for delays in the network to the called server. */
const VALID_SHARE = 0.5
/** The first synchronous part of the handler must end within this share of the slack. Otherwise its place was counted too early. */
const SEEN_SHARE = 0.75

/** A place may be taken at most this many milliseconds before it becomes free, so that the duration of a claim does not lower the rate. */
const MAX_AHEAD_MS = 50
const AHEAD_SHARE = 0.05

/** Returns by how many milliseconds a place may be taken before it becomes free. */
export function aheadMs({ perMs }: RateLimit): number {
  return Math.min(MAX_AHEAD_MS, Math.floor(perMs * AHEAD_SHARE))
}

function partMs({ perMs }: RateLimit): number {
  return Math.max(1, Math.ceil(perMs / PARTS))
}

/**
 * Returns how long the answer to a claim probably takes, in milliseconds. A place that is free earlier is counted as if it were free only
 * then.
 */
export function answerMs(limit: RateLimit): number {
  return Math.floor(aheadMs(limit) / 2)
}

/**
 * Returns how long after a place becomes free it is counted, in milliseconds. The handler begins only after the answer, and even later on a
 * busy machine.
 *
 * @param lateTries how often the run has missed its place. The slack doubles each time, so that the run can begin even on a slow machine
 */
export function slackMs({ perMs }: RateLimit, lateTries = 0): number {
  const usual = Math.min(MAX_SLACK_MS, Math.max(MIN_SLACK_MS, Math.floor(perMs * SLACK_SHARE)))
  return Math.min(MAX_GROWN_SLACK_MS, usual * 2 ** lateTries)
}

/** Returns the latest time at which the handler may begin, in milliseconds after its place becomes free. */
export function validMs(slack: number): number {
  return slack * VALID_SHARE
}

/**
 * Returns the latest time at which the first synchronous part of the handler may end, in milliseconds after its place becomes free. The
 * call that the rate limits may be at the end of that part.
 */
export function seenMs(slack: number): number {
  return slack * SEEN_SHARE
}

/**
 * Reads the stored places. If a person has edited the row, keeps only valid places, because unreadable text must not stop the job's runs.
 * The next place rewrites the row.
 */
export function storedStarts(text: string): Starts {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    return []
  }
  return Array.isArray(read) ? read.filter(isStart) : []
}

function isStart(value: unknown): value is Starts[number] {
  return Array.isArray(value) && value.length >= 2 && value.length <= 3 && value.every((part) => Number.isFinite(part))
}

/**
 * Returns the places that still have an effect. A place too far in the future is moved close to the current time, so that it delays the
 * rate by at most its span.
 */
export function startsSince(starts: Starts, nowMs: number, limit: RateLimit): Starts {
  return starts
    .filter(([at]) => at > nowMs - limit.perMs)
    .map(([at, count, slack]) => entry(Math.min(at, latestAt(nowMs, limit, slack)), count, slack))
    .sort(([one], [other]) => one - other)
}

/** Whether a place is further in the future than its slack allows, because the clock was set back. */
export function areOfFuture(starts: Starts, nowMs: number, limit: RateLimit): boolean {
  return starts.some(([at, , slack]) => at > latestAt(nowMs, limit, slack))
}

function latestAt(nowMs: number, limit: RateLimit, slack = slackMs(limit)): number {
  return nowMs + aheadMs(limit) + slack + partMs(limit)
}

/**
 * Returns the milliseconds until one more run may begin; 0: now.
 *
 * @param added places that begin now and are not in `starts` yet
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

/** Returns the instant for which a place that is free at `freeMs` is counted: the end of a part, so that no span ever exceeds the limit. */
export function countedAt(freeMs: number, limit: RateLimit, slack: number): number {
  const part = partMs(limit)
  return Math.ceil((freeMs + slack) / part) * part
}

/** Adds places that are counted for `at`. */
export function withStarts(starts: Starts, added: number, at: number, limit: RateLimit, slack: number): Starts {
  const index = starts.findIndex(([other]) => other >= at)
  const isThere = starts[index]?.[0] === at
  const [, count = 0, otherSlack = 0] = isThere ? (starts[index] ?? []) : []
  const most = Math.max(slack, otherSlack)
  const made = entry(at, count + added, most > slackMs(limit) ? most : undefined)
  return index < 0 ? [...starts, made] : starts.toSpliced(index, isThere ? 1 : 0, made)
}

/** Removes one place that was counted for `at`. */
export function withoutStart(starts: Starts, at: number): Starts {
  const index = starts.findIndex(([other]) => other === at)
  const [, count = 0, slack] = starts[index] ?? []
  if (index < 0) return starts
  return count > 1 ? starts.with(index, entry(at, count - 1, slack)) : starts.toSpliced(index, 1)
}

function entry(at: number, count: number, slack: number | undefined): Starts[number] {
  return slack === undefined ? [at, count] : [at, count, slack]
}
