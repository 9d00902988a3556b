/** When a job fires, as data. */
export type ScheduleSpec =
  | { readonly kind: 'cron'; readonly cron: string; readonly timezone: string }
  /** `anchor`: an instant on the grid, ISO 8601. */
  | { readonly kind: 'every'; readonly everyMs: number; readonly anchor: string }
  | { readonly kind: 'at'; readonly at: string }

/** When a job fires. Pure: instants in, instants out. */
export class Schedule {
  /**
   * @param jobId for the error message
   * @throws PikoError `SCHEDULE_INVALID`
   */
  static of(_spec: ScheduleSpec, _jobId?: string): Schedule {
    return new Schedule()
  }
}
