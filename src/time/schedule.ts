import { describe } from '../errors.ts'
import { type Calendar, calendarFault, CalendarTicks, FUNCTION_MARKER } from './calendar.ts'
import { CronTicks, zoneNamed } from './cron.ts'
import { type DstPolicy, dstFault, dstRule } from './dst.ts'
import { generationTicks } from './generations.ts'
import { isInstantMs, readInstant } from './instant.ts'
import { scheduleInvalid } from './schedule-invalid.ts'
import { type Taken, ticksAround } from './taken-windows.ts'
import { between, union } from './tick-sets.ts'
import type { Ticks } from './ticks.ts'
import { ZonedTicks } from './zoned-ticks.ts'

/** The limits of a schedule. */
export interface ScheduleBounds {
  /** No tick fires before this instant. Write it as ISO 8601 with a zone. */
  readonly start?: string
  /** No tick fires after this instant. A tick at exactly this instant still fires. Write it as ISO 8601 with a zone. */
  readonly end?: string
  readonly exclude?: Calendar
}

/** When a job fires. It is plain data, except for the function of a calendar. */
export type ScheduleSpec =
  | ({
      readonly kind: 'cron'
      readonly cron: string | readonly string[]
      readonly timezone: string
      /** What happens when clocks change. Default `'auto'`. */
      readonly dst?: DstPolicy
    } & ScheduleBounds)
  /** `anchor` is an instant at which the schedule fires, as ISO 8601. `timezone` is the zone of the calendar's days. */
  | ({
      readonly kind: 'every'
      readonly everyMs: number
      readonly anchor: string
      readonly timezone?: string
    } & ScheduleBounds)
  | { readonly kind: 'at'; readonly at: string }

/** The largest value of a Date, in milliseconds. */
const LONGEST_MS = 8.64e15

/**
 * The times at which a job fires: a strictly increasing sequence of ticks. Pure: it uses no clock and no timer.
 *
 * For every tick `a` and the tick `b = next(a)`: `previous(b)` is `a`, and `next` of any instant in `[a, b)` is `b`.
 */
export class Schedule {
  // The schedules are cached, because parsing one takes about 300 µs and the planner needs them in each pass.
  static readonly #parsed = new WeakMap<ScheduleSpec, Schedule>()
  readonly #ticks: Ticks

  private constructor(ticks: Ticks) {
    this.#ticks = ticks
  }

  /**
   * Returns the schedule of a spec. Each spec object is parsed only once, so it must not change.
   *
   * @param jobId the job that errors name
   * @throws PikoError `SCHEDULE_INVALID`
   */
  static of(spec: ScheduleSpec, jobId?: string): Schedule {
    const known = Schedule.#parsed.get(spec)
    if (known) return known
    const schedule = new Schedule(ticksOf(spec, jobId))
    Schedule.#parsed.set(spec, schedule)
    return schedule
  }

  /**
   * Returns the boundaries of windows whose schedule has changed over time; see {@link generationTicks}.
   *
   * @param generations oldest first, at least one
   */
  static across(generations: readonly { readonly start: Date; readonly schedule: Schedule }[]): Schedule {
    const [only, ...others] = generations
    if (only && others.length === 0) return only.schedule
    return new Schedule(
      generationTicks(generations.map(({ start, schedule }) => ({ startMs: ms(start), ticks: schedule.#ticks }))),
    )
  }

  /** Returns the boundaries of windows, including those of existing windows; see {@link ticksAround}. */
  around(taken: readonly Taken[]): Schedule {
    return new Schedule(ticksAround(this.#ticks, taken))
  }

  /** Returns the first tick strictly after the instant, or undefined if there is none. */
  next(after: Date): Date | undefined {
    return instant(this.#ticks.next(ms(after)))
  }

  /** Returns the last tick strictly before the instant, or undefined if there is none. */
  previous(before: Date): Date | undefined {
    return instant(this.#ticks.previous(ms(before)))
  }

  /** Returns the first `count` ticks strictly after the instant, or fewer if the schedule has no more. */
  upcoming(after: Date, count: number): Date[] {
    const ticks: Date[] = []
    for (let tick = this.next(after); tick !== undefined && ticks.length < count; tick = this.next(tick))
      ticks.push(tick)
    return ticks
  }
}

function ticksOf(spec: ScheduleSpec, jobId: string | undefined): Ticks {
  switch (spec.kind) {
    case 'cron':
      return bounded(cronTicks(spec, jobId), spec, jobId)
    case 'every':
      return bounded(
        fixedRate(positiveMs(spec.everyMs, jobId), parseInstant('anchor', spec.anchor, jobId)),
        spec,
        jobId,
      )
    case 'at':
      return once(parseInstant('at', spec.at, jobId))
    default: {
      // The kind may be unknown, because people write schedules into the database.
      const { kind } = spec as { kind: unknown }
      throw scheduleInvalid(
        { option: 'kind', value: kind, expected: '"cron", "every" or "at"', hint: 'use one of them' },
        jobId,
      )
    }
  }
}

function cronTicks(spec: Extract<ScheduleSpec, { kind: 'cron' }>, jobId: string | undefined): Ticks {
  const zone = zoneNamed(spec.timezone, jobId)
  const fault = dstFault(spec.dst)
  if (fault) throw scheduleInvalid(fault, jobId)
  const expressions: readonly string[] = Array.isArray(spec.cron) ? spec.cron : [spec.cron]
  if (expressions.length === 0) {
    throw scheduleInvalid(
      { option: 'cron', value: spec.cron, expected: 'one expression or more', hint: 'omit the option' },
      jobId,
    )
  }
  return union(
    expressions.map((expression) => {
      const wall = new CronTicks(expression, jobId)
      return new ZonedTicks(wall, zone, dstRule(spec.dst, wall.isHourWild))
    }),
  )
}

function bounded(all: Ticks, spec: ScheduleBounds & { readonly timezone?: string }, jobId: string | undefined): Ticks {
  const start = spec.start === undefined ? -Infinity : parseInstant('start', spec.start, jobId)
  const end = spec.end === undefined ? Infinity : parseInstant('end', spec.end, jobId)
  if (end < start) {
    throw scheduleInvalid(
      {
        option: 'end',
        value: spec.end,
        expected: `an instant after start, ${spec.start}`,
        hint: 'correct one of them',
      },
      jobId,
    )
  }
  const fault = spec.exclude && calendarFault(spec.exclude)
  if (fault) throw scheduleInvalid(fault, jobId)
  const zone = zoneNamed(spec.timezone ?? 'UTC', jobId)
  const inside = start === -Infinity && end === Infinity ? all : between(all, start, end)
  // The dates of a calendar have years with four digits, so ticks in other years are left out.
  return spec.exclude
    ? new CalendarTicks(between(inside, FIRST_DAY_MS, LAST_DAY_MS), spec.exclude, zone, jobId)
    : inside
}

const FIRST_DAY_MS = Date.UTC(1000, 0, 2)
const LAST_DAY_MS = Date.UTC(9999, 11, 30)

/** Returns the text in which a schedule is stored. A schedule counts as changed if and only if this text differs. */
export function scheduleJson(spec: ScheduleSpec): string {
  return JSON.stringify(spec, (_key, value: unknown) => (typeof value === 'function' ? FUNCTION_MARKER : value))
}

/** Returns the ticks at `anchor + n · every`, for every whole n. It uses remainders, which are exact, because a division would round. */
function fixedRate(everyMs: number, anchorMs: number): Ticks {
  const remainder = (value: number): number => {
    const rest = value % everyMs
    return rest < 0 ? rest + everyMs : rest
  }
  const phase = remainder(anchorMs)
  const atOrBefore = (at: number): number => at - remainder(remainder(at) - phase)
  return {
    next: (after) => atOrBefore(after) + everyMs,
    previous: (before) => atOrBefore(before - 1),
  }
}

function once(tick: number): Ticks {
  return {
    next: (after) => (after < tick ? tick : undefined),
    previous: (before) => (before > tick ? tick : undefined),
  }
}

function positiveMs(value: unknown, jobId: string | undefined): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= LONGEST_MS) return value
  throw scheduleInvalid(
    {
      option: 'everyMs',
      value,
      expected: 'a whole number of milliseconds above 0',
      hint: 'give the option every a duration such as "10s"',
    },
    jobId,
  )
}

function parseInstant(option: 'anchor' | 'at' | 'start' | 'end', value: unknown, jobId: string | undefined): number {
  const reading = readInstant(value)
  if ('date' in reading) return reading.date.getTime()
  throw scheduleInvalid({ option, value, expected: reading.expected, hint: 'correct it' }, jobId)
}

function ms(date: Date): number {
  const value = date.getTime()
  if (Number.isNaN(value)) throw new RangeError(`the instant is ${describe(String(date))}; expected a valid Date`)
  return value
}

function instant(tick: number | undefined): Date | undefined {
  return tick !== undefined && isInstantMs(tick) ? new Date(tick) : undefined
}
