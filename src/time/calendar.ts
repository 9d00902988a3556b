import { isOneOf } from '../errors-read.ts'
import { answerOf, isBoolean, type OptionFunction } from '../option-function.ts'
import type { ScheduleFault } from './schedule-invalid.ts'
import type { Ticks } from './ticks.ts'
import type { Zone } from './zone.ts'

export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

export type Weekday = (typeof WEEKDAYS)[number]

/** An instant as the clocks of the schedule's time zone show it. */
export interface LocalTime {
  /** The date, such as `2026-12-25`. */
  readonly date: string
  /** The time of day, such as `02:30:00`. */
  readonly time: string
  readonly weekday: Weekday
}

/** Returns true to skip a tick. Piko calls the function several times for the same instant, so it must always return the same answer. */
export type CalendarFunction = (instant: Date, local: LocalTime) => boolean

/** The days and ticks on which a schedule does not fire. Days are in the schedule's time zone. */
export interface Calendar {
  /** Dates on which the schedule does not fire, such as `'2026-12-25'`. */
  readonly dates?: readonly string[]
  readonly weekdays?: readonly Weekday[]
  /** A function that decides for each tick. It can't be stored: the database only stores that there is one; see {@link scheduleJson}. */
  readonly when?: CalendarFunction
}

/** Marks a stored schedule whose calendar has a function. Only the code has that function. */
export const FUNCTION_MARKER = '(function)'

/**
 * The longest gap of a calendar, in skipped ticks and in time. All ticks of a skipped day count as one. A longer gap ends the schedule,
 * because the planner might otherwise search forever.
 */
const MAX_EXCLUDED = 100_000
const DAY_MS = 86_400_000
/** The longest time without a tick, in milliseconds. It is long enough: dates fall on the same weekdays again after at most 40 years. */
const LONGEST_EXCLUDED_MS = 100 * 366 * DAY_MS

/** The ticks that a calendar does not skip. */
export class CalendarTicks implements Ticks {
  readonly #ticks: Ticks
  readonly #zone: Zone
  readonly #dates: ReadonlySet<number>
  readonly #weekdays: ReadonlySet<number>
  readonly #when: CalendarFunction | undefined
  readonly #option: OptionFunction<boolean>

  /** @param jobId the job that the error names if a function fails */
  constructor(ticks: Ticks, { dates = [], weekdays = [], when }: Calendar, zone: Zone, jobId?: string) {
    this.#ticks = ticks
    this.#zone = zone
    this.#dates = new Set(dates.map(dayOf))
    this.#weekdays = new Set(weekdays.map((day) => WEEKDAYS.indexOf(day)))
    this.#when = when
    this.#option = {
      ...{ jobId, option: 'exclude', isAnswer: isBoolean, expected: 'true or false' },
      next: 'fix the function: no tick is planned without its answer',
    }
  }

  next(afterMs: number): number | undefined {
    let tick = this.#ticks.next(afterMs)
    const last = (tick ?? 0) + LONGEST_EXCLUDED_MS
    for (let count = 0; tick !== undefined && tick <= last && count < MAX_EXCLUDED; count++) {
      const day = this.#dayAt(tick)
      if (this.#isDayOff(day)) tick = this.#ticks.next(this.#endOfDay(tick, day))
      else if (this.#isExcluded(tick)) tick = this.#ticks.next(tick)
      else return tick
    }
    return undefined
  }

  previous(beforeMs: number): number | undefined {
    let tick = this.#ticks.previous(beforeMs)
    const first = (tick ?? 0) - LONGEST_EXCLUDED_MS
    for (let count = 0; tick !== undefined && tick >= first && count < MAX_EXCLUDED; count++) {
      const day = this.#dayAt(tick)
      if (this.#isDayOff(day)) tick = this.#ticks.previous(this.#startOfDay(tick, day))
      else if (this.#isExcluded(tick)) tick = this.#ticks.previous(tick)
      else return tick
    }
    return undefined
  }

  /** Returns the day of the tick, as the number of days since 1970 in the zone's calendar. */
  #dayAt(tick: number): number {
    return Math.floor((tick + this.#zone.offsetAt(tick)) / DAY_MS)
  }

  /** Returns the last millisecond of the tick's day, or the last one before a clock change if that comes first. */
  #endOfDay(tick: number, day: number): number {
    const end = (day + 1) * DAY_MS - 1 - this.#zone.offsetAt(tick)
    const change = this.#zone.changeAfter(tick, end)
    return change === undefined ? end : change - 1
  }

  /** Returns the first millisecond of the tick's day, or the first one after a clock change if there is one before the tick. */
  #startOfDay(tick: number, day: number): number {
    const start = day * DAY_MS - this.#zone.offsetAt(tick)
    return this.#zone.changeBefore(tick, start) ?? start
  }

  #isDayOff(day: number): boolean {
    return this.#dates.has(day) || this.#weekdays.has(weekdayOf(day))
  }

  #isExcluded(tick: number): boolean {
    const when = this.#when
    if (!when) return false
    const wall = tick + this.#zone.offsetAt(tick)
    const [date = '', time = ''] = new Date(wall).toISOString().split(/[T.]/)
    const weekday = WEEKDAYS[weekdayOf(Math.floor(wall / DAY_MS))] ?? 'sun'
    return answerOf(this.#option, () => when(new Date(tick), { date, time, weekday }))
  }
}

/** Returns what is wrong with a user's calendar, or undefined if it is valid. */
export function calendarFault(calendar: unknown): ScheduleFault | undefined {
  const fault = (value: unknown, expected: string, hint: string): ScheduleFault => ({
    option: 'exclude',
    value,
    expected,
    hint,
  })
  if (typeof calendar !== 'object' || calendar === null || Array.isArray(calendar)) {
    return fault(calendar, 'an object with dates, weekdays and when', "write { weekdays: ['sat', 'sun'] }")
  }
  const { dates = [], weekdays = [], when, ...others } = calendar as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return fault(unknown, 'one of dates, weekdays and when', 'correct its name')
  if (!Array.isArray(dates)) return fault(dates, 'a list of dates', "write dates: ['2026-12-25']")
  const wrongDate: unknown = dates.find((date) => !isDate(date))
  if (wrongDate !== undefined) return fault(wrongDate, 'a date of the calendar', 'write it as "2026-12-25"')
  if (!Array.isArray(weekdays)) return fault(weekdays, 'a list of weekdays', "write weekdays: ['sat', 'sun']")
  const wrongDay: unknown = weekdays.find((day) => !isOneOf(WEEKDAYS, day))
  if (wrongDay !== undefined) return fault(wrongDay, `one of ${WEEKDAYS.join(', ')}`, 'correct its name')
  if (new Set(weekdays).size === WEEKDAYS.length) {
    return fault(weekdays, 'at least one day of the week to fire on', 'omit the schedule for a job that never fires')
  }
  if (when !== undefined && typeof when !== 'function') {
    return fault(when, 'a function (instant, local) => boolean', 'a calendar with a function must come from the code')
  }
  return undefined
}

function isDate(text: unknown): boolean {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(text)) return false
  const day = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text)
}

function dayOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / DAY_MS
}

function weekdayOf(day: number): number {
  // 1970-01-01 was a Thursday.
  return (((day + 4) % 7) + 7) % 7
}
