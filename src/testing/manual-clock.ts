import { type Clock, TIME_LIMIT } from '../clock.ts'
import { PikoError } from '../errors.ts'
import { describe } from '../errors-read.ts'
import { currentScope } from '../offload/signal.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'

interface Sleeper {
  readonly until: number
  readonly wake: () => void
  /** The run whose code sleeps. Undefined if the sleep does not belong to a run. */
  readonly run: { readonly isOver: boolean } | undefined
}

/** The state of a clock that test apps read. */
export interface ClockState {
  /** Called after each sleep has begun and after each advance. */
  readonly listeners: Set<() => void>
  /** Returns when the first sleep ends, in epoch milliseconds. `Infinity` if nothing is sleeping. */
  nextAt(): number
  /** Returns how many runs of this process are sleeping on this clock. */
  runsAsleep(): number
}

let stateOf: (clock: ManualClock) => ClockState

/** A clock that stands still until a test advances it. */
export class ManualClock implements Clock {
  #now: number
  readonly #sleepers = new Set<Sleeper>()
  readonly #state: ClockState = {
    listeners: new Set(),
    nextAt: () => {
      let next = Infinity
      for (const { until } of this.#sleepers) next = Math.min(next, until)
      return next
    },
    runsAsleep: () => new Set([...this.#sleepers].flatMap(({ run }) => (run && !run.isOver ? run : []))).size,
  }

  static {
    stateOf = (clock) => clock.#state
  }

  /** @param start the time at which the clock begins; default 2026-01-01T00:00:00Z */
  constructor(start: InstantInput = '2026-01-01T00:00:00Z') {
    this.#now = instantOf('start of a ManualClock', start).getTime()
  }

  now(): number {
    return this.#now
  }

  /** Returns the same as `now()`. */
  monotonic(): number {
    return this.#now
  }

  /** How many sleeps have not ended yet. */
  get sleeping(): number {
    return this.#sleepers.size
  }

  sleep(ms: number, signal?: AbortSignal, who?: string): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) {
        resolve()
        return
      }
      const sleeper: Sleeper = {
        until: this.#now + ms,
        run: who === TIME_LIMIT ? undefined : currentScope(),
        wake: () => {
          this.#sleepers.delete(sleeper)
          signal?.removeEventListener('abort', sleeper.wake)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', sleeper.wake, { once: true })
      this.#tell()
    })
  }

  /**
   * Advances the clock by `ms` milliseconds, or sets it back if the number is negative. Ends all sleeps that are then due, the earliest
   * first.
   *
   * @throws PikoError `USAGE` if `ms` is not a finite number
   */
  advance(ms: number): void {
    if (!Number.isFinite(ms)) {
      throw new PikoError('USAGE', `clock.advance got ${describe(ms)}; expected milliseconds`)
    }
    this.#now += ms
    const due = [...this.#sleepers].filter((sleeper) => sleeper.until <= this.#now)
    for (const sleeper of due.sort((a, b) => a.until - b.until)) sleeper.wake()
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#state.listeners) listener()
  }
}

export function clockState(clock: ManualClock): ClockState {
  return stateOf(clock)
}
