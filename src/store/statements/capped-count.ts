/** A number that is counted up to a limit. */
export interface CappedCount {
  readonly count: number
  /** False if there are more than were counted. */
  readonly isExact: boolean
}

/** @param count the counted number, at most `most` + 1 */
export function capped(count: number, most: number): CappedCount {
  return { count: Math.min(count, most), isExact: count <= most }
}
