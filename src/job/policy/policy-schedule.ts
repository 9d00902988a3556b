import { describe, isPikoError } from '../../errors.ts'
import { isList } from '../../options.ts'
import { Schedule, type ScheduleBounds, type ScheduleSpec } from '../../time/schedule.ts'
import type { JobDurations } from '../job-durations.ts'
import type { PolicyChecks } from './policy-checks.ts'
import type { WindowPolicy, WindowsSpec } from '../spec.ts'

const MIN_DATE = new Date(0)
const MAX_SCHEDULE_FAULTS = 10

export function windowsOf(checks: PolicyChecks, { windowDelayMs }: JobDurations): WindowPolicy | undefined {
  const windows = checks.spec.windows as WindowsSpec | undefined
  if (windows === undefined) return undefined
  const start = checks.moment('windows.start', windows.start)
  const end = windows.end === undefined ? undefined : checks.moment('windows.end', windows.end)
  if (start && end && end <= start) {
    checks.faults.add(`windows.end ${end.toISOString()} is not after windows.start ${start.toISOString()}`)
  }
  checks.oneOf('windows.catchUp', windows.catchUp, ['all', 'latest', 'none'])
  const { cron, every } = checks.spec
  const grid = windows.grid === undefined ? undefined : cronsOf(checks, 'windows.grid', windows.grid)
  if (windows.grid !== undefined && windows.delay !== undefined && (cron ?? every) !== undefined) {
    checks.faults.add(
      `windows.delay ${describe(windows.delay)} has no effect beside ${cron === undefined ? 'every' : 'cron'}, whose first tick ` +
        'after the end of a window runs it; leave out one of them',
    )
  }
  return Object.freeze({
    start: start ?? MIN_DATE,
    end,
    // Without these options, the stored text of the windows must not change. So they are added only if they are given.
    ...(grid && { grid }),
    ...(windowDelayMs !== undefined && { delayMs: windowDelayMs }),
    catchUp: windows.catchUp ?? 'all',
    parallel: checks.atLeastOne('windows.parallel', windows.parallel) ?? 1,
  })
}

/** Reads an additional schedule in the job's zone. Each wrong expression is a fault of its own. */
export function cronsOf({ spec, faults }: PolicyChecks, option: string, value: unknown): ScheduleSpec | undefined {
  const expressions: readonly unknown[] = isList(value) ? value : [value]
  if (expressions.length === 0) faults.add(`${option} is an empty list; expected a cron expression or several`)
  const isSound = expressions.map((expression) =>
    faults.gather(() => {
      try {
        Schedule.of({ kind: 'cron', cron: expression as string, timezone: 'UTC' })
        return true
      } catch (thrown) {
        if (isPikoError(thrown)) faults.add(`${option} ${thrown.message.replace(/^cron /, '')}`)
        return false
      }
    }, false),
  )
  if (expressions.length === 0 || !isSound.every((one) => one)) return undefined
  const { timezone = 'UTC', dst } = spec
  return { kind: 'cron', cron: value as string | readonly string[], timezone, ...(dst !== undefined && { dst }) }
}

export function scheduleOf(
  checks: PolicyChecks,
  windows: WindowPolicy | undefined,
  { everyMs }: JobDurations,
): ScheduleSpec | undefined {
  const spec = checks.spec
  const faults = checks.faults
  const given = (['cron', 'every', 'at'] as const).filter((kind) => spec[kind] !== undefined)
  if (given.length > 1) faults.add(`it has ${given.join(' and ')}; expected at most one of cron, every, at`)
  const hasGrid = (spec.windows as WindowsSpec | undefined)?.grid !== undefined
  if (windows && given.every((kind) => kind === 'at') && (!hasGrid || given.length > 0)) {
    faults.add(
      hasGrid
        ? 'its windows need cron or every, or no schedule besides windows.grid'
        : 'its windows need a schedule whose ticks end them: cron, every or windows.grid',
    )
  }
  const isRepeated = spec.cron !== undefined || spec.every !== undefined
  for (const option of ['start', 'end', 'exclude'] as const) {
    if (spec[option] !== undefined && !isRepeated) checks.hasNoEffect(option, 'cron or every')
  }
  if (spec.dst !== undefined && spec.cron === undefined && !hasGrid) checks.hasNoEffect('dst', 'cron')
  if (spec.timezone !== undefined && spec.cron === undefined && spec.exclude === undefined && !windows) {
    checks.hasNoEffect('timezone', 'cron')
  }
  const schedule = specOf(checks, windows, everyMs)
  if (schedule) assertSchedule(checks, schedule)
  return schedule
}

export function jitterMsOf(checks: PolicyChecks, { jitterMs }: JobDurations): number {
  const { jitter, cron, every, at } = checks.spec
  if (jitter !== undefined && cron === undefined && every === undefined && at === undefined) {
    checks.hasNoEffect('jitter', 'cron, every or at')
  }
  return jitterMs
}

function specOf(
  checks: PolicyChecks,
  windows: WindowPolicy | undefined,
  everyMs: number | undefined,
): ScheduleSpec | undefined {
  const { cron, dst, at, timezone } = checks.spec
  const bounds = boundsOf(checks)
  if (cron !== undefined) {
    return { kind: 'cron', cron, timezone: timezone ?? 'UTC', ...(dst !== undefined && { dst }), ...bounds }
  }
  if (at !== undefined) {
    const instant = checks.instant('at', at)
    return instant && { kind: 'at', at: instant.toISOString() }
  }
  if (everyMs === undefined) return windows?.grid
  const anchor = (windows?.start ?? new Date(0)).toISOString()
  return { kind: 'every', everyMs, anchor, ...(timezone !== undefined && { timezone }), ...bounds }
}

/** Returns only the given options, because the stored text of a schedule without them must not change. */
function boundsOf(checks: PolicyChecks): ScheduleBounds {
  const { exclude } = checks.spec
  const start = checks.optionalInstant('start')
  const end = checks.optionalInstant('end')
  return {
    ...(start && { start: start.toISOString() }),
    ...(end && { end: end.toISOString() }),
    ...(exclude !== undefined && { exclude: typeof exclude === 'function' ? { when: exclude } : exclude }),
  }
}

/** Checks a schedule. The schedule reports only its first fault, so this removes the wrong part and checks again. */
function assertSchedule(checks: PolicyChecks, schedule: ScheduleSpec): void {
  let rest: ScheduleSpec | undefined = schedule
  for (let tries = 0; rest && tries < MAX_SCHEDULE_FAULTS; tries++) {
    const whole: ScheduleSpec = rest
    rest = undefined
    checks.faults.gather(() => {
      try {
        Schedule.of(whole, checks.spec.id)
      } catch (fault) {
        if (isPikoError(fault)) rest = withoutFault(whole, fault.details['option'], fault.details['value'])
        throw fault
      }
    }, undefined)
  }
}

/** Returns the schedule with a valid value in place of the wrong part; undefined if there is nothing left to check. */
function withoutFault(schedule: ScheduleSpec, option: unknown, value: unknown): ScheduleSpec | undefined {
  if (schedule.kind === 'at') return undefined
  if (option === 'timezone') return { ...schedule, timezone: 'UTC' }
  if (option === 'start' || option === 'end' || option === 'exclude' || option === 'dst') {
    const { [option as 'start']: _wrong, ...rest } = schedule
    return rest
  }
  if (option !== 'cron' || schedule.kind !== 'cron') return undefined
  const others = [schedule.cron].flat().filter((expression) => expression !== value)
  return {
    ...schedule,
    cron: others.length > 0 && others.length < [schedule.cron].flat().length ? others : '* * * * *',
  }
}
