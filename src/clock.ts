import { setTimeout as sleep } from 'node:timers/promises'

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
  async sleep(ms, signal) {
    if (signal?.aborted) return
    let leftMs = ms
    try {
      do {
        await sleep(Math.min(leftMs, LONGEST_TIMER_MS), undefined, signal ? { signal } : undefined)
        leftMs -= LONGEST_TIMER_MS
      } while (leftMs > 0)
    } catch {
      // Only the signal makes the timer reject: an abort is the awaited end of this sleep.
    }
  },
}
