/** A time range. Only pages that were changed within it are read. In milliseconds since 1970; undefined means no bound. */
export interface ChangedWithin {
  readonly sinceMs: number | undefined
  readonly untilMs: number | undefined
}

const DAY_MS = 24 * 3_600_000
/** How long a year, a month and a day can be. A `lastmod` without a time has the form `2026`, `2026-03` or `2026-03-05`. */
const LENGTHS_MS: readonly number[] = [366 * DAY_MS, 31 * DAY_MS, DAY_MS]

/**
 * Whether a page with this `lastmod` may have been changed within a range. A date without a time stands for any time of that year, month or
 * day. A missing or unreadable `lastmod` is within every range. Pure.
 */
export function isWithin(lastmod: string | undefined, { sinceMs, untilMs }: ChangedWithin): boolean {
  const first = lastmod === undefined ? Number.NaN : Date.parse(lastmod)
  if (lastmod === undefined || Number.isNaN(first)) return true
  const last = first + (lastmod.includes('T') ? 0 : (LENGTHS_MS[lastmod.split('-').length - 1] ?? 0))
  return (sinceMs === undefined || last >= sinceMs) && (untilMs === undefined || first < untilMs)
}
