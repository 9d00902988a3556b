import { FIRST_INSTANT_MS, isInstantMs } from './instant.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from './schedule.ts'

/** The options that decide when a job's windows are due. */
export interface DueParts {
  /** The schedule that bounds the windows, if it is not the job's own. */
  readonly grid?: ScheduleSpec | undefined
  /** The time between the end of a window and its run. Default 0. Has no effect on a job with both a grid and a schedule. */
  readonly delayMs?: number | undefined
}

/**
 * When windows are due. Without a grid, or with a grid as the only schedule: `delay` after their end. With a grid and a separate schedule:
 * at the first tick of that schedule at or after their end. So a tick may have several windows, or none. Pure.
 */
export class DueWindows {
  readonly #schedule: Schedule
  /** The schedule, if it is not the one that bounds the windows. */
  readonly #ticks: Schedule | undefined
  /** How long after a tick of the schedule windows are due. */
  readonly delayMs: number

  /**
   * @param schedule the schedule in force
   * @param jobId the job to name in errors
   * @throws PikoError `SCHEDULE_INVALID`
   */
  constructor({ grid, delayMs = 0 }: DueParts, schedule: ScheduleSpec, jobId?: string) {
    const isOwn = grid !== undefined && scheduleJson(schedule) !== scheduleJson(grid)
    this.#schedule = Schedule.of(schedule, jobId)
    this.#ticks = isOwn ? this.#schedule : undefined
    this.delayMs = isOwn ? 0 : delayMs
  }

  /** The time at which a window that ends at this instant is due; undefined if no tick follows. */
  at(end: Date): Date | undefined {
    if (this.#ticks) return this.#ticks.next(new Date(end.getTime() - 1))
    const due = end.getTime() + this.delayMs
    return isInstantMs(due) ? new Date(due) : undefined
  }

  /** Windows that end at this instant or earlier are due at `now`. */
  lastEnd(now: Date): Date {
    if (!this.#ticks) return new Date(Math.max(FIRST_INSTANT_MS, now.getTime() - this.delayMs))
    return this.#ticks.previous(new Date(now.getTime() + 1)) ?? new Date(FIRST_INSTANT_MS)
  }

  /** Like {@link lastEnd}, for requests: after the last tick of the schedule, a window can be requested as soon as it is over. */
  lastEndOnRequest(now: Date): Date {
    return this.#ticks && !this.#ticks.next(now) ? now : this.lastEnd(now)
  }

  /** The first instant at or after this one at which windows are due. */
  firstFrom(instant: Date): Date | undefined {
    const tick = this.#schedule.next(new Date(instant.getTime() - this.delayMs - 1))
    return tick && new Date(tick.getTime() + this.delayMs)
  }
}
