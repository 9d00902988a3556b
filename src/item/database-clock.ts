/** A reading of the database's clock by a node. */
export interface ClockReading {
  /** The time of the database's clock, in milliseconds since 1970. */
  readonly databaseMs: number
  /** The node's monotonic clock just before the database's clock was read. */
  readonly askedAt: number
  /** The node's monotonic clock just after the database's clock was read. */
  readonly readAt: number
}

/** How much the two clocks may drift apart, as a share of the elapsed time. This is the fastest correction of a clock by NTP. */
const DRIFT = 0.0005
/** The database's clock is read in whole milliseconds, so its true time is up to this much later. */
const RESOLUTION_MS = 1

/**
 * Converts times of the database's clock to a node's monotonic clock. The database has read its clock between the query and the answer, so
 * each reading bounds the difference of the two clocks. All readings together bound it more closely, so that a slow answer does not matter.
 */
export class DatabaseClock {
  /** The bounds of the database's time minus the node's time, at the node's time `#at`. */
  #low = -Infinity
  #high = Infinity
  #at = 0

  /** Takes a reading into account. @returns how uncertain the difference of the clocks is now, in milliseconds */
  read({ databaseMs, askedAt, readAt }: ClockReading): number {
    const drift = DRIFT * Math.max(0, readAt - this.#at)
    const [low, high] = [databaseMs - readAt, databaseMs + RESOLUTION_MS - askedAt]
    this.#low = Math.max(low, this.#low - drift)
    this.#high = Math.min(high, this.#high + drift)
    // One of the clocks was set, or the database is another server now.
    if (this.#low > this.#high) [this.#low, this.#high] = [low, high]
    this.#at = readAt
    return this.#high - this.#low
  }

  /** Returns the earliest time of the node's clock at which the database's clock has certainly reached this time. */
  from(databaseMs: number): number {
    const at = databaseMs - this.#low
    return at + DRIFT * Math.max(0, at - this.#at)
  }

  /** Returns the latest time of the node's clock at which the database's clock has certainly not passed this time. */
  until(databaseMs: number): number {
    const at = databaseMs - this.#high
    return at - DRIFT * Math.max(0, at - this.#at)
  }
}
