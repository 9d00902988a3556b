import { setTimeout as sleep } from 'node:timers/promises'

/** The source of time: tests move a manual clock, production reads the machine's. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an unnamed start; never goes back. */
  monotonic(): number
  /** Resolves after `ms` (`Infinity`: never), or immediately if the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The longest delay of a Node timer, about 25 days. A longer one would fire after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's time. */
export const systemClock: Clock = {
  // Avoids Date objects: a run would create three.
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
