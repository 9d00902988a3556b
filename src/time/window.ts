import type { Schedule } from './schedule.ts'
import { inOrder, takenAround } from './taken-windows.ts'

/** A data interval `[start, end)` in UTC. Its start is included and its end is not. */
export interface Window {
  readonly start: Date
  readonly end: Date
}

/** The interval `[start, end)` of a timeline. Without an end, the timeline continues for as long as its schedule fires. */
export interface TimelineBounds {
  readonly start: Date
  readonly end?: Date | undefined
}

/**
 * The windows of a job. They fill its bounds without gap or overlap. The first window starts at `bounds.start` and the last one ends at
 * `bounds.end`, whether these are ticks or not. Every boundary between them is a tick. Pure.
 *
 * Only the generator steps through the timeline. Every other method takes the same time for any instant.
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
   * Returns the same timeline with these existing windows. They stay unchanged, whatever their bounds, and new windows fill the time
   * between them. A window that is partly outside the bounds counts as outside.
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

  /** Returns the first window that starts at or after an instant. */
  firstFrom(instant: Date): Window | undefined {
    const around = this.containing(instant) ?? (instant.getTime() < this.#startMs ? this.first : undefined)
    return !around || around.start >= instant ? around : this.windowFrom(around.end)
  }

  /**
   * Returns the window that starts at an instant. Any start inside the bounds is accepted as a boundary, so that windows can continue those
   * of an earlier schedule without gap or overlap. {@link startingAt} accepts only true boundaries.
   *
   * @returns undefined outside the bounds, or if neither a tick nor the end of the bounds follows
   */
  windowFrom(start: Date): Window | undefined {
    const startMs = start.getTime()
    if (!this.#covers(startMs)) return undefined
    const endMs = Math.min(this.#schedule.next(start)?.getTime() ?? Infinity, this.#endMs)
    return endMs === Infinity ? undefined : { start: new Date(startMs), end: new Date(endMs) }
  }

  /** Yields all windows, beginning with the one that {@link windowFrom} returns. Endless if the timeline is endless. */
  *windowsFrom(start: Date): Generator<Window, void, undefined> {
    for (let window = this.windowFrom(start); window; window = this.windowFrom(window.end)) yield window
  }

  get first(): Window | undefined {
    return this.windowFrom(new Date(this.#startMs))
  }

  /** Returns the newest complete window, which has `end <= now`. */
  latestBefore(now: Date): Window | undefined {
    const endMs = now.getTime() >= this.#endMs ? this.#endMs : this.#tickAtOrBefore(now)
    if (endMs <= this.#startMs) return undefined
    return { start: this.#boundaryBefore(new Date(endMs)), end: new Date(endMs) }
  }

  /** Returns the window that contains the instant. */
  containing(instant: Date): Window | undefined {
    if (!this.#covers(instant.getTime())) return undefined
    return this.windowFrom(new Date(Math.max(this.#tickAtOrBefore(instant), this.#startMs)))
  }

  /** Returns the window that starts at an instant, or undefined if the instant is not a boundary. */
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
