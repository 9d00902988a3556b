import type { OnUpstreamChange } from '../../job/upstream.ts'

/** A job as declared in code. */
export interface JobRegistration {
  readonly id: string
  readonly description: string | undefined
  /** `ScheduleSpec` as JSON; null if the job runs only on request. */
  readonly schedule: string | null
  /** The schedule that sets the bounds of the job's windows, as JSON. Default: `schedule`. */
  readonly bounds?: string
  /** The option `windows`, as JSON. */
  readonly windows: string | null
  /** The ids of the upstream jobs. Default: none. */
  readonly dependsOn?: readonly string[]
  readonly onUpstreamChange?: OnUpstreamChange
  /** How soon after its end a window must succeed, in milliseconds. Default: no deadline. */
  readonly deadlineMs?: number
  /** The kinds of notices for which the job has hooks, such as `failure,late`. Default: none. */
  readonly hooks?: string
  /** Where planning begins for a new job or a changed schedule. */
  readonly begin: { readonly nextTick: Date | undefined; readonly windowCursor: Date | undefined }
  /** Whether a window of a stored schedule starts at this instant, if the first window starts at `begin.windowCursor`. */
  readonly isBoundary?: (instant: Date, schedule: string) => boolean
}

/** A job that is new, or whose windows were added or removed. */
export interface AddedJob {
  readonly id: string
  /** When the job is planned next; undefined if it has no schedule. */
  readonly planAt: Date | undefined
}

export interface JobRow {
  readonly id: string
  readonly description: string | undefined
  readonly schedule: string | null
  /** The last schedule from code. If the schedule was overridden, `schedule` is a different one. */
  readonly codeSchedule: string | null
  /** The schedule that the planner uses. It differs from `schedule` until the planner has applied an edit, or if the edit can't be read. */
  readonly plannedSchedule: string | null
  readonly windows: string | null
  readonly isPaused: boolean
  readonly nextTick: Date | undefined
  readonly planAt: Date | undefined
  readonly windowCursor: Date | undefined
}
