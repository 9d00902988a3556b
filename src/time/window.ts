import { type Schedule } from './schedule.ts'
import { inOrder, takenAround } from './taken-windows.ts'

/** A data interval `[start, end)` in UTC: start belongs to it, end does not. */
export interface Window {
  readonly start: Date
  readonly end: Date
}

/** `[start, end)`. Without an end the timeline goes on for as long as its schedule fires. */
export interface TimelineBounds {
  readonly start: Date
  readonly end?: Date | undefined
}

/**
 * The windows of a job: they tile its bounds without gap or overlap. The first starts at `bounds.start`, on a tick or
 * not; every boundary inside is a tick of the schedule; the last one ends at `bounds.end`, on a tick or not. Pure.
 *
 * No method walks through the timeline but the generator: an instant is found in the same time wherever it lies.
 */
export class Timeline {
  readonly #schedule: Schedule
  readonly #startMs: number
  readonly #endMs: number

  constructor(schedule: Schedule, bounds: TimelineBounds) {
    this.#schedule = schedule
    this.#startMs = bounds.start.getTime()
    this.#endMs = bounds.end?.getTime() ?? Infinity
  }

  /**
   * The same timeline where these windows exist already, whatever bounds they have: they stay as they are, and what they leave free is
   * tiled around them. One that reaches over an end of the bounds is outside as a whole.
   */
  around(windows: readonly Window[]): Timeline {
    if (windows.length === 0) return this
    const taken = inOrder(windows)
    const startMs = takenAround(taken, this.#startMs)?.endMs ?? this.#startMs
    const endMs = takenAround(taken, this.#endMs)?.startMs ?? this.#endMs
    return new Timeline(this.#schedule.around(taken), {
      start: new Date(startMs),
      end: endMs === Infinity ? undefined : new Date(endMs),
    })
  }

  /** The first window that starts at an instant or after it. */
  firstFrom(instant: Date): Window | undefined {
    const around = this.containing(instant) ?? (instant.getTime() < this.#startMs ? this.first : undefined)
    return !around || around.start >= instant ? around : this.windowFrom(around.end)
  }

  /**
   * The window that starts here. Any start inside the bounds is taken as a boundary, so that windows go on without gap
   * or overlap from one that an earlier schedule left; {@link startingAt} is strict.
   *
   * @returns undefined outside the bounds, and when neither a tick nor an end of the bounds follows
   */
  windowFrom(start: Date): Window | undefined {
    const startMs = start.getTime()
    if (!this.#covers(startMs)) return undefined
    const endMs = Math.min(this.#schedule.next(start)?.getTime() ?? Infinity, this.#endMs)
    return endMs === Infinity ? undefined : { start: new Date(startMs), end: new Date(endMs) }
  }

  /** Window after window, the first as {@link windowFrom} gives it. Endless when the timeline is. */
  *windowsFrom(start: Date): Generator<Window, void, undefined> {
    for (let window = this.windowFrom(start); window; window = this.windowFrom(window.end)) yield window
  }

  /** The first of all. */
  get first(): Window | undefined {
    return this.windowFrom(new Date(this.#startMs))
  }

  /** The newest window that is complete: `end <= now`. */
  latestBefore(now: Date): Window | undefined {
    const endMs = now.getTime() >= this.#endMs ? this.#endMs : this.#tickAtOrBefore(now)
    if (endMs <= this.#startMs) return undefined
    return { start: this.#boundaryBefore(new Date(endMs)), end: new Date(endMs) }
  }

  /** The window that the instant belongs to. */
  containing(instant: Date): Window | undefined {
    if (!this.#covers(instant.getTime())) return undefined
    return this.windowFrom(new Date(Math.max(this.#tickAtOrBefore(instant), this.#startMs)))
  }

  /** The window that starts here; undefined when this is no boundary. */
  startingAt(start: Date): Window | undefined {
    const startMs = start.getTime()
    if (startMs !== this.#startMs && startMs !== this.#tickAtOrBefore(start)) return undefined
    return this.windowFrom(start)
  }

  #covers(instantMs: number): boolean {
    return instantMs >= this.#startMs && instantMs < this.#endMs
  }

  #tickAtOrBefore(instant: Date): number {
    return this.#schedule.previous(new Date(instant.getTime() + 1))?.getTime() ?? -Infinity
  }

  #boundaryBefore(boundary: Date): Date {
    return new Date(Math.max(this.#schedule.previous(boundary)?.getTime() ?? -Infinity, this.#startMs))
  }
}
