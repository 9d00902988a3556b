import { Schedule, type ScheduleSpec } from './schedule.ts'

const MOST_KNOWN = 10_000
const known = new Map<string, ScheduleSpec>()

/**
 * The schedule of a text in the database: JSON as the code writes it, or a cron expression that somebody typed.
 *
 * @param timezone of a bare cron expression
 * @throws PikoError `SCHEDULE_INVALID`
 */
export function storedSchedule(text: string, timezone = 'UTC', jobId?: string): ScheduleSpec {
  const key = `${timezone}\n${text}`
  const found = known.get(key)
  if (found) return found
  const spec = readSchedule(text, timezone)
  Schedule.of(spec, jobId)
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(key, spec)
  return spec
}

/** The same without a look at what it says, to be shown. */
export function readSchedule(text: string, timezone = 'UTC'): ScheduleSpec {
  if (text.trimStart().startsWith('{')) return JSON.parse(text) as ScheduleSpec
  return { kind: 'cron', cron: text.trim(), timezone }
}

/** The zone in which a bare cron expression is read: that of the schedule in the code. */
export function zoneOfStored(code: string | null): string {
  const spec = code === null ? undefined : readSchedule(code)
  return (spec && 'timezone' in spec && spec.timezone) || 'UTC'
}
