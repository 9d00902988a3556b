import type { Ticks } from './ticks.ts'

/** An existing window, in epoch milliseconds. */
export interface Taken {
  readonly startMs: number
  readonly endMs: number
}

/**
 * Returns the boundaries of windows if some windows already exist. These are the boundaries of the existing windows, and the ticks of the
 * schedule between them. So a changed schedule never divides an existing window, and new windows fill the time between existing ones. Pure.
 *
 * @param taken existing windows, in order, without overlap
 */
export function ticksAround(ticks: Ticks, taken: readonly Taken[]): Ticks {
  return {
    next(after) {
      const index = lastStarting(taken, after)
      const around = taken[index]
      if (around && around.endMs > after) return around.endMs
      return least(ticks.next(after), taken[index + 1]?.startMs)
    },
    previous(before) {
      const around = taken[lastStarting(taken, before - 1)]
      if (around && around.endMs >= before) return around.startMs
      return greatest(ticks.previous(before), around?.endMs)
    },
  }
}

/** Returns the window that contains the instant. The start and the end of a window do not count as inside. */
export function takenAround(taken: readonly Taken[], at: number): Taken | undefined {
  const around = taken[lastStarting(taken, at - 1)]
  return around && around.endMs > at ? around : undefined
}

/** Sorts the windows. If two overlap, which an earlier version could cause, keeps the first one. */
export function inOrder(windows: readonly { readonly start: Date; readonly end: Date }[]): Taken[] {
  const taken: Taken[] = []
  for (const { start, end } of windows.toSorted((a, b) => a.start.getTime() - b.start.getTime())) {
    const last = taken.at(-1)
    if (!last || start.getTime() >= last.endMs) taken.push({ startMs: start.getTime(), endMs: end.getTime() })
  }
  return taken
}

/** Returns the index of the last window that starts at or before an instant, or -1 if there is none. */
function lastStarting(taken: readonly Taken[], at: number): number {
  let low = 0
  let high = taken.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((taken[middle] as Taken).startMs <= at) low = middle + 1
    else high = middle
  }
  return low - 1
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function greatest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)
}
