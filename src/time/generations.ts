import type { Ticks } from './ticks.ts'

/** The ticks that bound a job's windows from `startMs` until the next generation begins. */
export interface Generation {
  readonly startMs: number
  readonly ticks: Ticks
}

/**
 * Returns the boundaries of windows whose schedule has changed over time. These are the ticks of each schedule while it was valid, and the
 * instants of the changes. So windows have no gap or overlap. The first generation has no beginning. Pure.
 *
 * @param generations oldest first, at least one
 */
export function generationTicks(generations: readonly Generation[]): Ticks {
  const last = generations.length - 1
  const startOf = (index: number): number => (index === 0 ? -Infinity : (generations[index]?.startMs ?? Infinity))
  return {
    next(after) {
      const index = generations.findLastIndex((_, candidate) => startOf(candidate) <= after)
      const tick = generations[index]?.ticks.next(after)
      const end = startOf(index + 1)
      return index < last && (tick === undefined || tick > end) ? end : tick
    },
    previous(before) {
      const index = generations.findLastIndex((_, candidate) => startOf(candidate) < before)
      const tick = generations[index]?.ticks.previous(before)
      const start = startOf(index)
      return index > 0 && (tick === undefined || tick < start) ? start : tick
    },
  }
}
