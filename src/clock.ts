// Imports the timer functions, because a test may replace the global ones, and then the engine's loops would stop.
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
   * @param who the name of the sleeping loop, or {@link TIME_LIMIT}; test clocks use it
   */
  sleep(ms: number, signal?: AbortSignal, who?: string): Promise<void>
}

/** The name of a sleeper that only measures a time limit while other work continues. */
export const TIME_LIMIT = 'time limit'

/** A test's clock that also replaces the database's clock. It moves in jumps, and a node keeps its leases across each jump. */
export interface DatabaseTestClock extends Clock {
  readonly movesDatabase: true
  /**
   * Registers a function that is called before jumps. It receives the number of milliseconds for which the leases must last; 0: they are no
   * longer needed.
   *
   * @param isEach whether to call the function before every jump, because there may be new leases. Default: only when the time that it
   * received last has passed
   */
  beforeJump(keep: (ms: number) => Promise<unknown>, isEach?: boolean): void
  /** Registers a function to call when the clock finds due runs, so that the loops need not search for them. */
  whenDue(query: () => void): void
  /** Tells the clock how many milliseconds remain until the first timeout of a run; undefined if no run has a timeout. */
  onDeadline(ms: number | undefined): void
}

export function movesDatabase(clock: Clock | undefined): clock is DatabaseTestClock {
  return clock !== undefined && 'movesDatabase' in clock
}

/** Returns the milliseconds of a monotonic clock that all threads of this process share. `performance.now()` starts at 0 in each thread. */
export function threadsClock(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}

/** The longest delay of a Node timer in milliseconds, about 25 days. A longer one would fire after 1 ms. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  // Does not create Date objects, because three of them for each run would be costly.
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // Does not use the timer of node:timers/promises. When its signal aborts, that timer creates an error with a stack. This is slow, and a
  // signal wakes the engine's loops for each run.
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
