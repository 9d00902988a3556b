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
  const spec = text.trimStart().startsWith('{')
    ? (JSON.parse(text) as ScheduleSpec)
    : ({ kind: 'cron', cron: text.trim(), timezone } as const)
  Schedule.of(spec, jobId)
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(key, spec)
  return spec
}
