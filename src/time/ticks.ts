/** The instants at which something fires: a strictly increasing sequence of epoch milliseconds. Pure. */
export interface Ticks {
  /** Returns the first tick strictly after the instant. */
  next(afterMs: number): number | undefined
  /** Returns the last tick strictly before the instant. */
  previous(beforeMs: number): number | undefined
}
