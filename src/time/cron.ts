import type { Cron } from 'croner'
import type { LRUCache } from 'lru-cache'
import { isError } from '../errors-read.ts'
import { loadPackage } from '../load-package.ts'
import { scheduleInvalid } from './schedule-invalid.ts'
import type { Ticks } from './ticks.ts'
import { Zone } from './zone.ts'

// The bounds between which croner is used. At the year 3000, croner stops in only one of its two search directions, and at the limits of a
// Date it throws or loops forever. Between these bounds, next and previous agree. The bounds are a few days outside those of ZonedTicks, to
// leave room for offsets.
const FIRST_MS = Date.UTC(999, 11, 25)
const LAST_MS = Date.UTC(2999, 0, 7)

const DAY_MS = 86_400_000

interface Croner {
  readonly Cron: typeof Cron
  readonly expressions: LRUCache<string, Expression>
}

/** A parsed expression, shared by all jobs that have it. */
interface Expression {
  readonly cron: Cron
  /**
   * The first tick after `afterMs`, as last searched. It is also the first tick after every instant between the two. So if many jobs with
   * this expression are planned at the same time, only the first one searches.
   */
  found: { readonly afterMs: number; readonly tick: number } | undefined
}

let croner: Croner | undefined

/**
 * Loads croner and creates its cache with the first expression. A process that uses only links or services needs neither; together they
 * take 1 MB. Loaded synchronously, because a schedule is created synchronously.
 *
 * A parsed expression takes 83 kB, mostly for a list of 10,000 years. So jobs with the same expression share one, and only the
 * most recently used ones are kept. Parsing takes 25 µs.
 */
function cronerOf(): Croner {
  if (croner) return croner
  const { LRUCache: Cache } = loadPackage<typeof import('lru-cache')>('lru-cache')
  return (croner = { Cron: loadPackage<typeof import('croner')>('croner').Cron, expressions: new Cache({ max: 500 }) })
}

/**
 * The times of day of each expression; null if there are too many. They are cached, because croner needs about 10 to 40 µs and 5 kB for
 * each time. Planning years of a schedule that fires every minute needs a million times.
 */
const tables = new Map<string, Int32Array | null>()
const MAX_TABLES = 1_000
const LARGEST_TABLE = 1_440
/** After this many single queries within the day of the previous tick, later ones use the table of that day's times. */
const WORTH_A_TABLE = 8

/** The local times of a cron expression, in whole seconds. They are treated as if they were UTC. */
export class CronTicks implements Ticks {
  /** Whether the hour is a wildcard: `*`, with or without a step. */
  readonly isHourWild: boolean
  readonly #expression: string
  /** The day of the last tick that a query returned, and how many queries so far were within such a day. */
  #day = NaN
  #asked = 0

  /**
   * @param jobId the job that errors name
   * @throws PikoError `SCHEDULE_INVALID`
   */
  constructor(expression: string, jobId?: string) {
    parse(expression, jobId)
    this.#expression = expression
    this.isHourWild = hasWildHour(expression)
    if (this.next(FIRST_MS) === undefined) {
      throw scheduleInvalid(
        {
          option: 'cron',
          value: expression,
          expected: 'a date that occurs at least once',
          hint: 'correct its day of month, month and weekday',
        },
        jobId,
      )
    }
  }

  next(afterMs: number): number | undefined {
    const day = Math.floor(afterMs / DAY_MS)
    if (day !== this.#day) return this.#ask(afterMs)
    const times = this.#asked >= WORTH_A_TABLE ? this.#times(day) : undefined
    if (!times) {
      this.#asked += 1
      return this.#ask(afterMs)
    }
    const time = firstAfter(times, afterMs - day * DAY_MS)
    return time === undefined ? this.#ask(afterMs) : day * DAY_MS + time
  }

  #ask(afterMs: number): number | undefined {
    if (afterMs >= LAST_MS) return undefined
    const tick = this.#nextRun(afterMs)
    // Only queries within the day of the previous tick count. A query before the first tick of a day does not show that more queries will
    // follow.
    this.#day = tick === undefined ? NaN : Math.floor(tick / DAY_MS)
    return tick
  }

  #nextRun(afterMs: number): number | undefined {
    const expression = parse(this.#expression)
    const { cron, found } = expression
    if (found && found.afterMs <= afterMs && afterMs < found.tick) return found.tick
    const tick = cron.nextRun(new Date(Math.max(afterMs, FIRST_MS - 1)))?.getTime()
    if (tick === undefined || tick >= LAST_MS) return undefined
    expression.found = { afterMs, tick }
    return tick
  }

  /**
   * Returns the times of a day with ticks; undefined if there are too many. They are the same for all such days, because the times of an
   * expression do not depend on the date.
   */
  #times(day: number): Int32Array | undefined {
    const known = tables.get(this.#expression)
    if (known !== undefined) return known ?? undefined
    const times: number[] = []
    const begin = day * DAY_MS
    let tick = this.#nextRun(begin - 1)
    while (tick !== undefined && tick < begin + DAY_MS && times.length <= LARGEST_TABLE) {
      times.push(tick - begin)
      tick = this.#nextRun(tick)
    }
    if (tables.size >= MAX_TABLES) tables.clear()
    const table = times.length > LARGEST_TABLE ? null : Int32Array.from(times)
    tables.set(this.#expression, table)
    return table ?? undefined
  }

  previous(beforeMs: number): number | undefined {
    if (beforeMs <= FIRST_MS) return undefined
    const tick = parse(this.#expression)
      .cron.previousRuns(1, new Date(Math.min(beforeMs, LAST_MS)))[0]
      ?.getTime()
    return tick === undefined || tick < FIRST_MS ? undefined : tick
  }
}

function firstAfter(times: Int32Array, after: number): number | undefined {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] as number) > after) high = middle
    else low = middle + 1
  }
  return times[low]
}

/** Parses a cron expression. @throws PikoError `SCHEDULE_INVALID` */
function parse(expression: unknown, jobId?: string): Expression {
  const known = typeof expression === 'string' ? croner?.expressions.get(expression) : undefined
  if (known) return known
  const refuse = (expected: string, hint: string, cause?: unknown): never => {
    throw scheduleInvalid(
      { option: 'cron', value: expression, expected, hint, ...(cause !== undefined && { cause }) },
      jobId,
    )
  }
  const fields = 'five fields (minute, hour, day of month, month, weekday), or six with the second first'
  if (typeof expression !== 'string') return refuse(fields, 'write it as a string, such as "0 * * * *"')
  // croner reads any string with a colon as a date on which it fires once, so it would accept "0 12:30 * * *".
  if (expression.includes(':'))
    return refuse(`${fields}, without ":"`, 'write 12:30 as "30 12 * * *", or one instant with the option at')
  try {
    // With a fixed offset, croner is about ten times faster than with `Intl`, and there are no clock changes about which the two could
    // disagree.
    const { Cron: Parsed, expressions } = cronerOf()
    const cron = new Parsed(expression, { utcOffset: 0, mode: '5-or-6-parts', paused: true })
    const parsed = { cron, found: undefined }
    expressions.set(expression, parsed)
    return parsed
  } catch (cause) {
    const reason = isError(cause) ? cause.message.replace(/^CronPattern: /, '') : String(cause)
    return refuse(`${fields}, such as "0 * * * *"`, `correct it: ${reason}`, cause)
  }
}

function hasWildHour(expression: string): boolean {
  const fields = expression.trim().split(/\s+/)
  if (fields.length === 1) return fields[0]?.toLowerCase() === '@hourly'
  return /^[*?]/.test(fields.at(-4) ?? '')
}

/** Returns the zone with this name. @throws PikoError `SCHEDULE_INVALID` if the name is not an IANA time zone */
export function zoneNamed(timezone: string, jobId?: string): Zone {
  const name = zoneName(timezone)
  if (name !== undefined) return Zone.of(name)
  throw scheduleInvalid(
    {
      option: 'timezone',
      value: timezone,
      expected: 'an IANA time zone',
      hint: `use a name such as ${JSON.stringify(similarZone(timezone) ?? 'Europe/Berlin')}, or "UTC"`,
    },
    jobId,
  )
}

export function isZone(timezone: unknown): timezone is string {
  return zoneName(timezone) !== undefined
}

/** Returns the canonical name of a zone, or undefined if it does not exist. `Intl` also accepts offsets, but they have no clock changes. */
function zoneName(timezone: unknown): string | undefined {
  if (typeof timezone !== 'string' || /^[+-]/.test(timezone)) return undefined
  const known = zoneNames.get(timezone)
  if (known !== undefined) return known
  try {
    const name = new Intl.DateTimeFormat('en-US', { timeZone: timezone }).resolvedOptions().timeZone
    zoneNames.set(timezone, name)
    return name
  } catch {
    return undefined
  }
}

/**
 * The names are cached, because looking them up takes most of the time that is needed to read a schedule. UTC needs no lookup: the first
 * format of a process takes 10 ms, and short commands would wait for it.
 */
const zoneNames = new Map([['UTC', 'UTC']])

function similarZone(timezone: unknown): string | undefined {
  const city = String(timezone).trim().replaceAll(' ', '_').toLowerCase()
  return Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase().split('/').includes(city))
}
