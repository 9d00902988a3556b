// Imported, because a test that mocks the global timers would otherwise stop the loops.
import { clearTimeout, setTimeout } from 'node:timers'

/** The source of time: the machine's clock in production, a manual clock in tests. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
  /** Resolves after `ms` (`Infinity`: never), or as soon as the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Milliseconds of a monotonic clock that is the same in all threads of this process. `performance.now()` begins anew in each thread. */
export function threadsClock(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}

/** The longest delay of a Node timer in milliseconds, about 25 days. A longer one would fire after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  // Creates no Date objects, since each run would create three.
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // Not the timer of node:timers/promises: its rejection by a signal costs an error with a stack, and loops are woken for each run.
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
