/** When a page has to be changed to be wanted, in milliseconds since the epoch. */
export interface ChangedWithin {
  readonly sinceMs: number | undefined
  readonly untilMs: number | undefined
}

const DAY_MS = 24 * 3_600_000
/** How long a year, a month and a day last at most, by the number of their parts: `2026`, `2026-03`, `2026-03-05`. */
const LENGTHS_MS: readonly number[] = [366 * DAY_MS, 31 * DAY_MS, DAY_MS]

/**
 * Whether a `lastmod` may be within a range: a day without a time is all of its day, and a missing or unreadable one is within every range.
 * Pure.
 */
export function isWithin(lastmod: string | undefined, { sinceMs, untilMs }: ChangedWithin): boolean {
  const first = lastmod === undefined ? Number.NaN : Date.parse(lastmod)
  if (lastmod === undefined || Number.isNaN(first)) return true
  const last = first + (lastmod.includes('T') ? 0 : (LENGTHS_MS[lastmod.split('-').length - 1] ?? 0))
  return (sinceMs === undefined || last >= sinceMs) && (untilMs === undefined || first < untilMs)
}
