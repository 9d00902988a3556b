import { processClock } from '../service/clock.ts'

/** Time is passed in: tests move a manual clock, production reads the system's. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Resolves after `ms` (`Infinity`: never), or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The machine's time, the same that services have. */
export const systemClock: Clock = processClock
