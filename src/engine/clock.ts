import { setTimeout as sleep } from 'node:timers/promises'

/** Time is passed in: tests move a manual clock, production reads the system's. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Resolves after `ms`, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    if (signal?.aborted) return
    try {
      await sleep(ms, undefined, signal ? { signal } : undefined)
    } catch {
      // Only the signal makes the timer reject: an abort is the awaited end of this sleep.
    }
  },
}
