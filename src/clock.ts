import { setTimeout as sleep } from 'node:timers/promises'

/** The time of a service tree. Tests move a manual one. */
export interface ServiceClock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an unnamed start; never goes back. */
  monotonic(): number
  /** Resolves after `ms` (`Infinity`: never), or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** A timer of Node's takes no more, some 25 days; with more it would fire after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's time. */
export const processClock: ServiceClock = {
  // eslint-disable-next-line no-restricted-properties -- this is the clock; a Date for each reading costs three for each run
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
