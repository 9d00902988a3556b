import { isError } from '../errors-read.ts'
import { type CalendarFunction, FUNCTION_MARKER } from './calendar.ts'
import { Schedule, type ScheduleSpec } from './schedule.ts'
import { scheduleInvalid } from './schedule-invalid.ts'

/** The parts of a schedule that may be missing in a stored string. The job's code then provides them. */
export interface StoredDefaults {
  /** The zone of a string without one. Default `'UTC'`. */
  readonly timezone?: string | undefined
  /** The anchor of a fixed rate, if the text has none. Default: the epoch. */
  readonly anchor?: string | undefined
  /**
   * The calendar's function. The text only says that there is one. If none is given here, the schedule fires as if there were no function.
   */
  readonly when?: CalendarFunction | undefined
  /** Whether the job has windows. If it does, its schedule must repeat. */
  readonly hasWindows?: boolean | undefined
}

const MAX_KNOWN = 10_000
const known = new Map<string, ScheduleSpec>()
/** Schedules with a calendar function, by that function. They are kept separately for each job, so that an error names the right job. */
const knownOf = new WeakMap<CalendarFunction, Map<string, ScheduleSpec>>()

/**
 * Reads a schedule from a string in the database: JSON that the code wrote, or a cron expression that a person typed.
 *
 * @throws PikoError `SCHEDULE_INVALID`
 */
export function storedSchedule(text: string, defaults: StoredDefaults = {}, jobId?: string): ScheduleSpec {
  const specs = defaults.when ? specsOf(defaults.when) : known
  const key = [defaults.when && jobId, defaults.timezone, defaults.anchor, defaults.hasWindows, text].join('\n')
  const found = specs.get(key)
  if (found) return found
  const spec = read(text, defaults, jobId)
  Schedule.of(spec, jobId)
  if (specs.size >= MAX_KNOWN) specs.clear()
  specs.set(key, spec)
  return spec
}

/** Returns the defaults that the schedule in code provides for a stored string. */
export function defaultsOf(code: ScheduleSpec | undefined): StoredDefaults {
  if (!code || code.kind === 'at') return {}
  return {
    timezone: code.timezone,
    when: code.exclude?.when,
    ...(code.kind === 'every' && { anchor: code.anchor }),
  }
}

/** Returns the defaults from the schedule that the code has stored. They have no calendar function. */
export function storedDefaults({
  codeSchedule,
  windows,
}: {
  readonly codeSchedule: string | null
  /** The option `windows` as JSON. */
  readonly windows: string | null
}): StoredDefaults {
  const defaults = codeSchedule === null ? {} : defaultsOf(storedSchedule(codeSchedule))
  return windows === null
    ? defaults
    : { ...defaults, ...windowDefaults((JSON.parse(windows) as { start: string }).start) }
}

/** Returns the defaults for the schedule of a job with windows. @param start the start of the first window */
export function windowDefaults(start: string): StoredDefaults {
  return { anchor: start, hasWindows: true }
}

function specsOf(when: CalendarFunction): Map<string, ScheduleSpec> {
  const specs = knownOf.get(when) ?? new Map<string, ScheduleSpec>()
  knownOf.set(when, specs)
  return specs
}

function read(text: string, defaults: StoredDefaults, jobId: string | undefined): ScheduleSpec {
  const { timezone = 'UTC', anchor = new Date(0).toISOString() } = defaults
  if (!text.trimStart().startsWith('{')) return { kind: 'cron', cron: text.trim(), timezone }
  const spec = withFunction(parsed(text, jobId), defaults.when)
  if (spec.kind === 'cron') return { ...spec, timezone: spec.timezone ?? timezone }
  if (spec.kind === 'at' && defaults.hasWindows) {
    throw scheduleInvalid(
      { option: 'at', value: spec.at, expected: 'cron or every', hint: 'windows need ticks that repeat' },
      jobId,
    )
  }
  return spec.kind === 'every' ? { ...spec, anchor: spec.anchor ?? anchor } : spec
}

function parsed(text: string, jobId: string | undefined): ScheduleSpec {
  try {
    return JSON.parse(text) as ScheduleSpec
  } catch (cause) {
    const reason = isError(cause) ? cause.message : String(cause)
    throw scheduleInvalid(
      {
        option: 'schedule',
        value: text,
        expected: 'a cron expression, or JSON such as {"kind":"cron","cron":"0 * * * *"}',
        hint: `correct it: ${reason}`,
        cause,
      },
      jobId,
    )
  }
}

function withFunction(spec: ScheduleSpec, when: CalendarFunction | undefined): ScheduleSpec {
  if (!('exclude' in spec) || (spec.exclude?.when as unknown) !== FUNCTION_MARKER) return spec
  const { when: _, ...days } = spec.exclude ?? {}
  return { ...spec, exclude: { ...days, ...(when && { when }) } }
}
