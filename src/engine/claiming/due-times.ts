/** The maximum number of stored times. */
const MAX_TIMES = 1_000

/** The times at which runs will be due. Also stores which of them were claimed early. */
export class DueTimes {
  readonly #times = new Map<number, 'ahead' | 'claimed'>()
  readonly #earlyMs: number

  /** @param earlyMs how long before its due time a run may be claimed, in milliseconds */
  constructor(earlyMs: number) {
    this.#earlyMs = earlyMs
  }

  /** Stores a future time. Returns false if there are already too many. */
  add(time: number): boolean {
    if (this.#times.size >= MAX_TIMES && !this.#times.has(time)) return false
    this.#times.set(time, 'ahead')
    return true
  }

  get soonest(): number {
    let soonest = Infinity
    for (const time of this.#times.keys()) soonest = Math.min(soonest, time)
    return soonest
  }

  /**
   * Returns when the next query is useful. Runs that can already be claimed early are claimed when a query finds nothing due. So they need
   * a query of their own only after `idleMs`, or when they are due.
   */
  soonestLook(now: number, idleMs: number): number {
    let soonest = Infinity
    for (const [time, state] of this.#times)
      soonest = Math.min(
        soonest,
        state === 'ahead' ? Math.max(time - this.#earlyMs, Math.min(time, now + idleMs)) : time,
      )
    return soonest
  }

  forgetPast(now: number): void {
    for (const time of this.#times.keys()) if (time <= now) this.#times.delete(time)
  }

  /** Returns the times whose runs can already be claimed early, and marks them as claimed. */
  claimSoon(now: number): number[] {
    const soon = [...this.#times].flatMap(([time, state]) =>
      time <= now + this.#earlyMs && state === 'ahead' ? time : [],
    )
    for (const time of soon) this.#times.set(time, 'claimed')
    return soon
  }

  /**
   * Removes these times, because all their runs are claimed. Keeps a time that was added again after it was claimed.
   *
   * @param now the database's time
   */
  done(times: readonly number[], now: number): void {
    for (const time of times)
      if (time <= now + this.#earlyMs && this.#times.get(time) === 'claimed') this.#times.delete(time)
  }

  /** Marks these times as not claimed, because some of their runs are left. */
  leave(times: readonly number[]): void {
    for (const time of times) this.#times.set(time, 'ahead')
  }
}
