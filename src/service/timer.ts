import { aText, anything, flag, type OptionChecks, problemsText, readOptions } from '../options.ts'
import { describe, PikoError } from '../errors.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { Schedule } from '../time/schedule.ts'
import type { Clock } from '../clock.ts'

export interface TimerOptions {
  /** Whether the timer fires immediately when the service starts. Default false: it first fires after one interval. */
  readonly immediate?: boolean
  /** How long after the start it fires first. Default: one interval. Can't be combined with `immediate`. */
  readonly after?: Duration
}

export interface CrontabOptions {
  /** The IANA time zone of the cron expression. Default `'UTC'`. */
  readonly timezone?: string
}

/** Statistics of a timer or crontab since the last start of the service. */
export interface TimerStats {
  readonly name: string
  /** The schedule as text: `'1s'`, or the cron expression. */
  readonly schedule: string
  readonly fired: number
  /** How many ticks did not fire, because an earlier call took too long or the machine was asleep. */
  readonly skipped: number
  /** How late the last tick fired, in milliseconds. */
  readonly lastDriftMs: number
  readonly maxDriftMs: number
}

/** Collects {@link TimerStats}. */
export class TimerRecord {
  readonly name: string
  readonly schedule: string
  #fired = 0
  #skipped = 0
  #lastDriftMs = 0
  #maxDriftMs = 0

  constructor(name: string, schedule: string) {
    this.name = name
    this.schedule = schedule
  }

  fired(driftMs: number): void {
    this.#fired += 1
    this.#lastDriftMs = driftMs
    this.#maxDriftMs = Math.max(this.#maxDriftMs, driftMs)
  }

  skipped(count: number): void {
    this.#skipped += count
  }

  get stats(): TimerStats {
    const { name, schedule } = this
    return {
      name,
      schedule,
      fired: this.#fired,
      skipped: this.#skipped,
      lastDriftMs: this.#lastDriftMs,
      maxDriftMs: this.#maxDriftMs,
    }
  }
}

/** What is needed to run a timer. */
export interface TimerRun {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly record: TimerRecord
  readonly fire: (signal: AbortSignal) => unknown
  readonly skipped: (count: number) => void
}

/**
 * Fires at `first + n · interval` of the monotonic clock until the signal aborts. A late wake-up or a long run does not move later ticks.
 * Runs never overlap: ticks during a run are skipped, and are not caught up.
 */
export async function runTimer(intervalMs: number, firstMs: number, run: TimerRun): Promise<void> {
  const { clock, signal } = run
  let tick = 0
  for (;;) {
    const dueMs = firstMs + tick * intervalMs
    for (let waitMs = dueMs - clock.monotonic(); waitMs > 0; waitMs = dueMs - clock.monotonic()) {
      await clock.sleep(waitMs, signal)
      if (signal.aborted) return
    }
    run.record.fired(clock.monotonic() - dueMs)
    await run.fire(signal)
    if (signal.aborted) return
    const next = Math.max(tick + 1, Math.ceil((clock.monotonic() - firstMs) / intervalMs))
    if (next > tick + 1) skip(run, next - tick - 1)
    tick = next
  }
}

/** The maximum sleep. A change of the clock is noticed within this time. */
const LONGEST_SLEEP_MS = 30_000

/** If the clock is set back by more than this, ticks may fire again. Otherwise no tick fires twice. */
const SET_BACK_MS = 60_000

/** The maximum count of skipped ticks. If the clock jumps by years, nobody needs the exact number. */
const MAX_COUNTED = 10_000

/**
 * Fires at the ticks of a cron expression on the wall clock, until the signal aborts or there are no more ticks. If the clock jumps over
 * several ticks, one fires and the others are skipped.
 */
export async function runCrontab(schedule: Schedule, run: TimerRun): Promise<void> {
  const { clock, signal } = run
  let base = clock.now()
  for (;;) {
    const due = schedule.next(new Date(base))?.getTime()
    if (due === undefined) return
    const nowMs = clock.now()
    if (nowMs < base - SET_BACK_MS) {
      base = nowMs
    } else if (nowMs < due) {
      await clock.sleep(Math.min(due - nowMs, LONGEST_SLEEP_MS), signal)
      if (signal.aborted) return
    } else {
      run.record.fired(nowMs - due)
      await run.fire(signal)
      if (signal.aborted) return
      const missed = missedTicks(schedule, due, clock.now())
      base = missed.last
      if (missed.count > 0) skip(run, missed.count)
    }
  }
}

/** Returns how many ticks after `due` have passed, and the last of them. */
function missedTicks(schedule: Schedule, due: number, nowMs: number): { count: number; last: number } {
  let last = due
  for (let count = 0; count < MAX_COUNTED; count++) {
    const tick = schedule.next(new Date(last))?.getTime() ?? Infinity
    if (tick >= nowMs) return { count, last }
    last = tick
  }
  return { count: MAX_COUNTED, last: nowMs - 1 }
}

function skip(run: TimerRun, count: number): void {
  run.record.skipped(count)
  run.skipped(count)
}

/**
 * Converts a duration above 0 to milliseconds.
 *
 * @throws PikoError `DURATION_INVALID`; `RangeError` for 0 or a value that is not a number
 */
export function intervalOf(interval: Duration | number, what: string): number {
  const ms = typeof interval === 'number' ? interval : durationMs(interval, what)
  if (Number.isFinite(ms) && ms > 0) return ms
  throw new RangeError(`${what} is ${describe(interval)}; expected a length of time above 0, such as "1s"`)
}

/**
 * Returns the delay before the first tick of a timer, in milliseconds.
 *
 * @throws PikoError `DURATION_INVALID`; `SERVICE_INVALID` for wrong options; `RangeError` if both `immediate` and `after` are given
 */
export function firstDelayMs(intervalMs: number, given: TimerOptions, what: string): number {
  const { immediate = false, after } = checked(what, given, TIMER_CHECKS, "{ after: '5s' }")
  if (after === undefined) return immediate ? 0 : intervalMs
  if (immediate) throw new RangeError(`${what} has immediate and after; pass one of them`)
  return durationMs(after, `after of ${what}`)
}

/** Returns the schedule of a crontab. @throws PikoError `SCHEDULE_INVALID`; `SERVICE_INVALID` for wrong options */
export function crontabSchedule(expression: string, given: CrontabOptions = {}, what = '@crontab'): Schedule {
  const { timezone = 'UTC' } = checked(what, given, CRONTAB_CHECKS, "{ timezone: 'Europe/Berlin' }")
  return Schedule.of({ kind: 'cron', cron: expression, timezone })
}

// The schedule and the duration have their own errors.
const TIMER_CHECKS: OptionChecks<TimerOptions & { name?: string }> = { immediate: flag, after: anything, name: aText }
const CRONTAB_CHECKS: OptionChecks<CrontabOptions & { name?: string }> = { timezone: anything, name: aText }

function checked<T extends object>(what: string, given: T, checks: OptionChecks<T>, example: string): Partial<T> {
  const { options, problems } = readOptions<T>(given, checks, example)
  if (problems.length === 0) return options
  throw new PikoError('SERVICE_INVALID', problemsText(what, problems), { details: { problems } })
}
