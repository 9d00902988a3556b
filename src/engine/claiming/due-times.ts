/** The maximum number of times that are remembered. */
const MAX_TIMES = 1_000

/** The times at which runs will be due, and which of them have been claimed early. */
export class DueTimes {
  readonly #times = new Map<number, 'ahead' | 'claimed'>()
  readonly #earlyMs: number

  /** @param earlyMs how early runs are claimed, in milliseconds before their due time */
  constructor(earlyMs: number) {
    this.#earlyMs = earlyMs
  }

  /** Remembers a future time. Returns false if too many are remembered. */
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

  /** When the next query is useful. A time that can already be claimed early waits until a query finds nothing due, at most `idleMs`. */
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

  /** Marks the times that come soon as claimed, and returns them. */
  claimSoon(now: number): number[] {
    const soon = [...this.#times].flatMap(([time, state]) =>
      time <= now + this.#earlyMs && state === 'ahead' ? time : [],
    )
    for (const time of soon) this.#times.set(time, 'claimed')
    return soon
  }

  /** Forgets these times, because all their runs are claimed. Keeps a time that was added again. @param now the database's time */
  done(times: readonly number[], now: number): void {
    for (const time of times)
      if (time <= now + this.#earlyMs && this.#times.get(time) === 'claimed') this.#times.delete(time)
  }

  /** Marks these times as not claimed, because some of their runs remain. */
  leave(times: readonly number[]): void {
    for (const time of times) this.#times.set(time, 'ahead')
  }
}
