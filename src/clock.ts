import { setTimeout as sleep } from 'node:timers/promises'

/** Time is passed in: tests move a manual clock, production reads the machine's. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an unnamed start; never goes back. */
  monotonic(): number
  /** Resolves after `ms` (`Infinity`: never), or immediately when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The longest delay of a timer of Node's, about 25 days. With more it would fire after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's time. */
export const systemClock: Clock = {
  // No Date object: one for each reading would make three for each run.
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
