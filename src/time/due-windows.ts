import { FIRST_INSTANT_MS, isInstantMs } from './instant.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from './schedule.ts'

/** The options that decide when a job's windows are due. */
export interface DueParts {
  /** The schedule that bounds the windows, if it differs from the job's own schedule. */
  readonly grid?: ScheduleSpec | undefined
  /** How long after the end of a window its run is due. Default 0. Has no effect if the job has both a grid and a schedule. */
  readonly delayMs?: number | undefined
}

/**
 * Computes when windows are due. Without a grid, or with a grid as the only schedule, a window is due `delay` after its end. With a grid
 * and a separate schedule, it is due at the first tick of that schedule at or after its end. So several windows may be due at a tick, or
 * none. Pure.
 */
export class DueWindows {
  readonly #schedule: Schedule
  /** The schedule that decides when windows are due, if it differs from the one that bounds them. */
  readonly #ticks: Schedule | undefined
  /** The delay from a tick of the schedule until its windows are due, in milliseconds. */
  readonly delayMs: number

  /**
   * @param schedule the current schedule @param jobId the job that errors name
   * @throws PikoError `SCHEDULE_INVALID`
   */
  constructor({ grid, delayMs = 0 }: DueParts, schedule: ScheduleSpec, jobId?: string) {
    const isOwn = grid !== undefined && scheduleJson(schedule) !== scheduleJson(grid)
    this.#schedule = Schedule.of(schedule, jobId)
    this.#ticks = isOwn ? this.#schedule : undefined
    this.delayMs = isOwn ? 0 : delayMs
  }

  /** Returns when a window that ends at this instant is due; undefined if it is never due. */
  at(end: Date): Date | undefined {
    if (this.#ticks) return this.#ticks.next(new Date(end.getTime() - 1))
    const due = end.getTime() + this.delayMs
    return isInstantMs(due) ? new Date(due) : undefined
  }

  /** Returns the latest end that a window can have if it is due at `now`. */
  lastEnd(now: Date): Date {
    if (!this.#ticks) return new Date(Math.max(FIRST_INSTANT_MS, now.getTime() - this.delayMs))
    return this.#ticks.previous(new Date(now.getTime() + 1)) ?? new Date(FIRST_INSTANT_MS)
  }

  /** Like {@link lastEnd}, but for requests: after the last tick of the schedule, a window can be requested as soon as it has ended. */
  lastEndOnRequest(now: Date): Date {
    return this.#ticks && !this.#ticks.next(now) ? now : this.lastEnd(now)
  }

  /** Returns the first instant at or after the given one at which windows are due. */
  firstFrom(instant: Date): Date | undefined {
    const tick = this.#schedule.next(new Date(instant.getTime() - this.delayMs - 1))
    return tick && new Date(tick.getTime() + this.delayMs)
  }
}
