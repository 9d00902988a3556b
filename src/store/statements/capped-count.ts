/** A number that is counted up to a limit. */
export interface CappedCount {
  readonly count: number
  /** False if the true number is greater. */
  readonly isExact: boolean
}

/** Limits a count. @param count the counted number, at most `most` + 1 */
export function capped(count: number, most: number): CappedCount {
  return { count: Math.min(count, most), isExact: count <= most }
}
