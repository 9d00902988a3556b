import type { Ticks } from './ticks.ts'

/** Returns the ticks of all sets, without duplicates. */
export function union(all: readonly Ticks[]): Ticks {
  const [only] = all
  if (only && all.length === 1) return only
  return {
    next: (after) => pick(all, (ticks) => ticks.next(after), Math.min),
    previous: (before) => pick(all, (ticks) => ticks.previous(before), Math.max),
  }
}

/** Returns the ticks from `start` to `end`, both included. */
export function between(ticks: Ticks, start: number, end: number): Ticks {
  const inside = (tick: number | undefined): number | undefined =>
    tick === undefined || tick < start || tick > end ? undefined : tick
  return {
    next: (after) => inside(ticks.next(Math.max(after, start - 1))),
    previous: (before) => inside(ticks.previous(Math.min(before, end + 1))),
  }
}

function pick(
  all: readonly Ticks[],
  step: (ticks: Ticks) => number | undefined,
  best: (...values: number[]) => number,
): number | undefined {
  const found = all.map(step).filter((tick) => tick !== undefined)
  return found.length > 0 ? best(...found) : undefined
}
