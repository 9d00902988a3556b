import { type OnUpstreamChange } from '../../job/upstream.ts'

/** A job as registered: what the code says of its time. */
export interface JobRegistration {
  readonly id: string
  readonly description: string | undefined
  /** `ScheduleSpec` as JSON; null for a job that is only run by hand. */
  readonly schedule: string | null
  /** The windows option as JSON. */
  readonly windows: string | null
  /** Ids of the jobs that it depends on. Default: none. */
  readonly dependsOn?: readonly string[]
  readonly onUpstreamChange?: OnUpstreamChange
  /** Where planning begins, for a job that is new or whose schedule has changed. */
  readonly begin: { readonly nextTick: Date | undefined; readonly windowCursor: Date | undefined }
  /** Whether a window starts at this instant by a stored schedule, with `begin.windowCursor` as the first start. */
  readonly isBoundary?: (instant: Date, schedule: string) => boolean
}

/** A job that was not known before, or not in this form. */
export interface AddedJob {
  readonly id: string
  /** Undefined: it has no schedule. */
  readonly planAt: Date | undefined
}

export interface JobRow {
  readonly id: string
  readonly description: string | undefined
  readonly schedule: string | null
  /** What the code said last; `schedule` differs from it when somebody has overridden it. */
  readonly codeSchedule: string | null
  /** What the planner goes by; differs from `schedule` until an edit is taken up, and while it can't be read. */
  readonly plannedSchedule: string | null
  readonly windows: string | null
  readonly isPaused: boolean
  readonly nextTick: Date | undefined
  readonly planAt: Date | undefined
  readonly windowCursor: Date | undefined
}
