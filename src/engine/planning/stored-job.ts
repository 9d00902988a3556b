import { messageOf } from '../../errors-read.ts'
import type { ScheduleSpec } from '../../time/schedule.ts'
import { storedDefaults, type StoredDefaults, storedSchedule } from '../../time/stored-schedule.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'

/** Whether the job's schedule was set at run time instead of in code. */
export function isOverridden(row: JobRow): boolean {
  return row.schedule !== row.codeSchedule
}

/**
 * The schedule of a job in the database. If an edited schedule can't be read, returns the one that stays in force, and the problem.
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
