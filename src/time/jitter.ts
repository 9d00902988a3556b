import { createHash } from 'node:crypto'

/**
 * How much later than its tick a run starts: a whole number of milliseconds from 0 to `mostMs`, spread evenly over jobs and ticks.
 * The same for the same job and tick, so that two planners agree. Pure.
 */
export function jitterOf(jobId: string, tick: Date, mostMs: number): number {
  if (mostMs === 0) return 0
  const hash = createHash('sha256').update(`${jobId}@${tick.getTime()}`).digest().readUIntBE(0, 6)
  return Math.floor((hash / 2 ** 48) * (mostMs + 1))
}
