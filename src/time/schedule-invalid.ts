import { describe, PikoError } from '../errors.ts'

/** What is wrong with a schedule. `expected` and `hint` are parts of one sentence. */
export interface ScheduleFault {
  readonly option:
    | 'schedule'
    | 'cron'
    | 'timezone'
    | 'dst'
    | 'start'
    | 'end'
    | 'exclude'
    | 'everyMs'
    | 'anchor'
    | 'at'
    | 'kind'
  readonly value: unknown
  readonly expected: string
  /** Says what to do next. */
  readonly hint: string
  readonly cause?: unknown
}

/** Creates a `SCHEDULE_INVALID` error. All of them have this form. */
export function scheduleInvalid(fault: ScheduleFault, jobId: string | undefined): PikoError {
  const { option, value, expected, hint } = fault
  const job = jobId === undefined ? '' : `job ${describe(jobId)}: `
  return new PikoError('SCHEDULE_INVALID', `${job}${option} is ${describe(value)}; expected ${expected}; ${hint}`, {
    ...('cause' in fault && { cause: fault.cause }),
    details: { ...(jobId !== undefined && { jobId }), option, value },
  })
}
