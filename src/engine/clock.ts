import { processClock, type ServiceClock } from '../clock.ts'

/** Time is passed in: tests move a manual clock, production reads the system's. */
export type Clock = ServiceClock

/** The machine's time, the same that services have. */
export const systemClock: Clock = processClock
