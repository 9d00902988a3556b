import type { DstRule } from './dst.ts'
import type { Ticks } from './ticks.ts'
import type { Zone } from './zone.ts'

// The bounds of ticks. MySQL's DATETIME starts at the year 1000, and croner stops at 3000.
const FIRST_MS = Date.UTC(1000, 0, 1)
const LAST_MS = Date.UTC(2999, 0, 1)

/** The longest change of an offset, with a margin: no zone has ever changed its offset by more than a day. */
const LONGEST_SHIFT_MS = 26 * 3_600_000

/**
 * Converts local times in a zone to instants.
 *
 * Between two clock changes the offset is constant, so a tick is the local time minus the offset. At a change, the rule decides what
 * happens. After a gap, one tick may replace the times that do not exist. If a span of local time exists twice, the rule may drop the ticks
 * of its first or its second occurrence.
 */
export class ZonedTicks implements Ticks {
  readonly #wall: Ticks
  readonly #zone: Zone
  readonly #rule: DstRule

  /** @param wall ticks in local time, treated as if they were UTC */
  constructor(wall: Ticks, zone: Zone, rule: DstRule) {
    this.#wall = wall
    this.#zone = zone
    this.#rule = rule
  }

  next(afterMs: number): number | undefined {
    if (afterMs >= LAST_MS) return undefined
    // Changes up to `behind` have already been handled.
    let behind = Math.max(afterMs, FIRST_MS - 1)
    let from = behind
    let offset = this.#zone.offsetAt(from)
    for (;;) {
      const wall = this.#wall.next(from + offset)
      if (wall === undefined) return undefined
      const tick = wall - offset
      const change = this.#zone.changeAfter(behind, tick)
      if (change === undefined) {
        if (tick >= LAST_MS) return undefined
        const span = this.#leftOutAround(tick, offset)
        if (span === undefined) return tick
        from = span.end - 1
        behind = from
      } else {
        if (this.#standsForGap(change)) return change
        // The search continues from the change itself, with the offset that follows it.
        from = change - 1
        behind = change
        offset = this.#zone.offsetAt(change)
      }
    }
  }

  previous(beforeMs: number): number | undefined {
    if (beforeMs <= FIRST_MS) return undefined
    let until = Math.min(beforeMs, LAST_MS)
    for (;;) {
      const offset = this.#zone.offsetAt(until - 1)
      const wall = this.#wall.previous(until + offset)
      if (wall === undefined) return undefined
      const tick = wall - offset
      const change = this.#zone.changeBefore(until - 1, tick)
      if (change === undefined) {
        if (tick < FIRST_MS) return undefined
        const span = this.#leftOutAround(tick, offset)
        if (span === undefined) return tick
        until = span.start
      } else {
        if (this.#standsForGap(change)) return change
        until = change
      }
    }
  }

  /** Whether a tick at this change replaces the times that the gap removed. */
  #standsForGap(change: number): boolean {
    const before = change + this.#zone.offsetAt(change - 1)
    const after = change + this.#zone.offsetAt(change)
    if (this.#rule.gap === 'skip' || after <= before) return false
    const first = this.#wall.next(before - 1)
    return first !== undefined && first < after
  }

  /** Returns the span around a tick whose local time exists twice, if the rule drops this occurrence. */
  #leftOutAround(tick: number, offset: number): { readonly start: number; readonly end: number } | undefined {
    if (this.#rule.overlap === 'both') return undefined
    if (this.#rule.overlap === 'first') {
      const change = this.#zone.changeBefore(tick, tick - LONGEST_SHIFT_MS)
      if (change === undefined) return undefined
      const end = change + this.#zone.offsetAt(change - 1) - offset
      return tick < end ? { start: change, end } : undefined
    }
    const change = this.#zone.changeAfter(tick, tick + LONGEST_SHIFT_MS)
    if (change === undefined) return undefined
    const start = change + this.#zone.offsetAt(change) - offset
    return tick >= start ? { start, end: change } : undefined
  }
}
