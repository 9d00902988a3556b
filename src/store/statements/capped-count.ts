/** A number that is counted up to a limit. */
export interface CappedCount {
  readonly count: number
  /** False if there are more. */
  readonly isExact: boolean
}

/** @param count of at most one more than `most` */
export function capped(count: number, most: number): CappedCount {
  return { count: Math.min(count, most), isExact: count <= most }
}
