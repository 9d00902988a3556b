/** One bar of the histogram: the runs between two durations. */
export interface Bin {
  readonly from: number
  readonly to: number
  readonly count: number
}

const BINS = 24
/** If the longest duration is more than this many times the shortest, the bins have equal ratios instead of equal widths. */
const WIDE = 30

/** Counts durations in bins of equal width, or of equal ratio if the durations differ a lot. Pure. */
export function histogram(durations: readonly number[]): Bin[] {
  const least = Math.min(...durations)
  const most = Math.max(...durations)
  if (durations.length === 0) return []
  if (most - least < 1) return [{ from: least, to: most + 1, count: durations.length }]
  const isWide = most / Math.max(1, least) > WIDE
  const place = isWide ? (ms: number): number => Math.log(Math.max(1, ms)) : (ms: number): number => ms
  const back = isWide ? Math.exp : (value: number): number => value
  const [start, size] = [place(least), (place(most) - place(least)) / BINS]
  const counts = Array.from({ length: BINS }, () => 0)
  for (const ms of durations) {
    const bin = Math.min(BINS - 1, Math.floor((place(ms) - start) / size))
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return counts.map((count, bin) => ({ from: back(start + bin * size), to: back(start + (bin + 1) * size), count }))
}

/**
 * Returns a quantile of durations: a duration that the given part of all durations does not exceed. Pure.
 *
 * @param part from 0 to 1
 */
export function quantile(durations: readonly number[], part: number): number {
  const sorted = durations.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0
}

/** Divides consecutive runs into groups of equal size and returns the median of each. These show how the duration changes. Pure. */
export function trend(durations: readonly number[], groups: number): number[] {
  const size = Math.max(1, Math.ceil(durations.length / groups))
  return Array.from({ length: Math.ceil(durations.length / size) }, (_, group) =>
    quantile(durations.slice(group * size, (group + 1) * size), 0.5),
  )
}
