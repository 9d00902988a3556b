// Imported, because a test that mocks the global timers would otherwise stop the loops.
import { clearTimeout, setTimeout } from 'node:timers'

/** The source of time: the machine's clock in production, a manual clock in tests. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
  /**
   * Resolves after `ms` (`Infinity`: never), or as soon as the signal aborts. Never rejects.
   *
   * @param who the name of the loop that sleeps, or {@link TIME_LIMIT}; a test's clock needs it
   */
  sleep(ms: number, signal?: AbortSignal, who?: string): Promise<void>
}

/** The name of a sleeper that waits for a time limit while other work continues. */
export const TIME_LIMIT = 'time limit'

/** A clock of a test that also replaces the database's clock. It moves in jumps, across which a node keeps its leases. */
export interface DatabaseTestClock extends Clock {
  readonly movesDatabase: true
  /**
   * Calls `keep` before jumps, with the number of milliseconds for which the leases must last. 0 ends the need for leases.
   *
   * @param isEach before each jump, since leases may be new. Default: only if the time that the previous call asked for has passed
   */
  beforeJump(keep: (ms: number) => Promise<unknown>, isEach?: boolean): void
  /** Calls `query` when the clock finds due runs, so that the loops need not search for them. */
  whenDue(query: () => void): void
  /** Called with the milliseconds until the first timeout of a run; undefined: no run has a timeout. */
  onDeadline(ms: number | undefined): void
}

export function movesDatabase(clock: Clock | undefined): clock is DatabaseTestClock {
  return clock !== undefined && 'movesDatabase' in clock
}

/** Milliseconds of a monotonic clock that is the same in all threads of this process. `performance.now()` begins at 0 in each thread. */
export function threadsClock(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}

/** The longest delay of a Node timer in milliseconds, about 25 days. A longer one would fire after 1 ms. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  // Creates no Date objects, because three per run would be costly.
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // The timer of node:timers/promises is not used: it rejects with an error and its stack when a signal aborts, and loops are woken for
  // each run.
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      let leftMs = ms
      let timer: NodeJS.Timeout
      const end = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', end)
        resolve()
      }
      const wait = (): void => {
        const thisMs = Math.min(leftMs, LONGEST_TIMER_MS)
        leftMs -= thisMs
        timer = setTimeout(() => (leftMs > 0 ? wait() : end()), thisMs)
      }
      signal?.addEventListener('abort', end)
      wait()
    })
  },
}
