import { messageOf } from '../../errors-read.ts'
import { type ScheduleSpec } from '../../time/schedule.ts'
import { storedDefaults, type StoredDefaults, storedSchedule } from '../../time/stored-schedule.ts'
import { type JobRow } from '../../store/jobs/job-row.ts'

/** Whether somebody has set its schedule at run time, in place of what the code says. */
export function isOverridden(row: JobRow): boolean {
  return row.schedule !== row.codeSchedule
}

/**
 * The schedule of a job in the database; where an edited one can't be read, the one that goes on, and what the problem is.
 *
 * @param code what the code knows and the database does not
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
