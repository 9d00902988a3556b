import { isOverridden, storedJob } from '../../engine/planning/stored-job.ts'
import { fromJson } from '../../json/json.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import type { ScheduleSpec } from '../../time/schedule.ts'

/** A job in the form that the API shows. */
export interface JobView {
  readonly id: string
  readonly description: string | undefined
  readonly state: 'active' | 'paused'
  /** The current schedule; null if the job runs only on request. */
  readonly schedule: ScheduleSpec | null
  readonly isOverridden: boolean
  /** Why the stored schedule can't be read. */
  readonly problem: string | undefined
  /** The option `windows`; null for a job without windows. */
  readonly windows: unknown
  /** The upstream jobs. */
  readonly dependsOn: readonly string[]
  readonly nextTick: Date | undefined
}

/** Converts a stored job to the form that people see. Pure. */
export function jobView(row: JobRow & { readonly dependsOn: readonly string[] }): JobView {
  const { schedule, problem } = storedJob(row)
  return {
    id: row.id,
    description: row.description,
    state: row.isPaused ? 'paused' : 'active',
    schedule,
    isOverridden: isOverridden(row),
    problem: problem ?? undefined,
    windows: fromJson(row.windows) ?? null,
    dependsOn: row.dependsOn,
    nextTick: row.nextTick,
  }
}
