import { WEEKDAYS } from '../../time/calendar.ts'
import { Schedule, type ScheduleSpec } from '../../time/schedule.ts'

/**
 * Returns the part of a schedule's calendar that leaves out an instant, such as `exclude.dates has 2026-12-25`. Undefined if the schedule
 * fires at the instant, or would not fire then without its calendar either. Pure.
 */
export function excludedBy(spec: ScheduleSpec | undefined, at: Date): string | undefined {
  if (!spec || spec.kind === 'at' || !spec.exclude) return undefined
  const { exclude, ...always } = spec
  if (!firesAt(always, at) || firesAt(spec, at)) return undefined
  const zone = spec.timezone ?? 'UTC'
  const day = at.toLocaleDateString('sv-SE', { timeZone: zone })
  const weekday = WEEKDAYS[new Date(day).getUTCDay()]
  if (exclude.dates?.includes(day)) return `exclude.dates has ${day} (${zone})`
  if (weekday !== undefined && exclude.weekdays?.includes(weekday)) {
    return `exclude.weekdays has ${weekday}, and ${day} is such a day (${zone})`
  }
  return `the function exclude.when returns true for ${day} ${at.toLocaleTimeString('sv-SE', { timeZone: zone })} (${zone})`
}

/** Returns the bound of a schedule that excludes an instant; undefined if neither does. Pure. */
export function outsideOf(spec: ScheduleSpec | undefined, at: Date): string | undefined {
  if (!spec || spec.kind === 'at') return undefined
  if (spec.start !== undefined && at < new Date(spec.start)) return `its start is ${spec.start}`
  if (spec.end !== undefined && at > new Date(spec.end)) return `its end was ${spec.end}`
  return undefined
}

function firesAt(spec: ScheduleSpec, at: Date): boolean {
  return (
    Schedule.of(spec)
      .next(new Date(at.getTime() - 1))
      ?.getTime() === at.getTime()
  )
}
