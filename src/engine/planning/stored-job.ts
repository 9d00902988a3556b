import { messageOf } from '../../errors-read.ts'
import { fromJson } from '../../json/json.ts'
import { isZone } from '../../time/cron.ts'
import { type DueParts, DueWindows } from '../../time/due-windows.ts'
import { Schedule, type ScheduleSpec } from '../../time/schedule.ts'
import { storedDefaults, type StoredDefaults, storedSchedule } from '../../time/stored-schedule.ts'
import { Timeline } from '../../time/window.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import type { StoredGeneration } from '../../store/windows/generations.ts'

/** Whether the job's schedule was set at run time instead of in code. */
export function isOverridden(row: JobRow): boolean {
  return row.schedule !== row.codeSchedule
}

/**
 * Reads the schedule of a job from the database. If an edited schedule is invalid, also returns the problem and the schedule that is used
 * instead.
 *
 * @param code the parts that only the code knows
 */
export function storedJob(
  row: JobRow,
  code?: StoredDefaults,
): { schedule: ScheduleSpec | null; problem: string | null } {
  const { id, schedule, plannedSchedule } = row
  const read = (text: string | null) =>
    text === null ? null : storedSchedule(text, { ...storedDefaults(row), ...code }, id)
  try {
    return { schedule: read(schedule), problem: null }
  } catch (thrown) {
    const problem = messageOf(thrown)
    try {
      return { schedule: read(plannedSchedule), problem }
    } catch {
      return { schedule: null, problem }
    }
  }
}

/** Returns the time zone of the dates that name the job's windows: the zone of its grid, otherwise the zone of its schedule. */
export function zoneOfJob(row: JobRow): string {
  const { grid } = windowsOption(row)
  return zoneOfSchedule(grid ?? storedJob(row).schedule ?? codeSpec(row))
}

/** Returns the time zone of a schedule; `UTC` if it has none, or one that does not exist. */
export function zoneOfSchedule(spec: ScheduleSpec | undefined): string {
  const zone: unknown = spec && 'timezone' in spec ? spec.timezone : undefined
  return isZone(zone) ? zone : 'UTC'
}

/**
 * Returns when the windows of a stored job are due; undefined if it has no windows or no schedule.
 *
 * @throws PikoError `SCHEDULE_INVALID`
 */
export function storedDue(row: JobRow): DueWindows | undefined {
  const { schedule } = storedJob(row)
  return row.windows !== null && schedule ? new DueWindows(windowsOption(row), schedule, row.id) : undefined
}

function windowsOption({ windows }: JobRow): DueParts {
  return (fromJson(windows) as DueParts | undefined) ?? {}
}

function codeSpec(row: JobRow): ScheduleSpec | undefined {
  return row.codeSchedule === null ? undefined : storedSchedule(row.codeSchedule, storedDefaults(row), row.id)
}

/**
 * Returns the windows of a stored job; undefined if it has none. They are computed without the job's code, so without its calendar
 * function.
 *
 * @throws PikoError `SCHEDULE_INVALID`
 */
export function storedTimeline(row: JobRow, generations: readonly StoredGeneration[]): Timeline | undefined {
  const { schedule } = storedJob(row)
  const option = fromJson(row.windows) as (DueParts & { readonly start: string; readonly end?: string }) | undefined
  const spec = option?.grid ?? schedule ?? codeSpec(row)
  if (!option || !spec) return undefined
  const known = generations.map(({ start, schedule: text }) => ({
    start,
    schedule: Schedule.of(storedSchedule(text, storedDefaults(row), row.id), row.id),
  }))
  const bounds = { start: new Date(option.start), end: option.end === undefined ? undefined : new Date(option.end) }
  return new Timeline(known.length > 0 ? Schedule.across(known) : Schedule.of(spec, row.id), bounds)
}
