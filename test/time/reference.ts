// The rules of the documents for clock changes, applied minute by minute with `Intl` only. Shares no code with src/time.

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

export interface Rule {
  readonly gap: 'skip' | 'after'
  readonly overlap: 'first' | 'second' | 'both'
}

/** One minute: its instant, and the time on the zone's clocks, as if that were UTC. */
interface Minute {
  readonly at: number
  readonly local: number
  readonly date: Date
  /** How often the clocks had shown this time, with this minute. */
  readonly pass: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** The zone's clocks at a whole minute, as if they were UTC. */
export function clock(zone: string, at: number): number {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    formats.set(zone, format)
  }
  return Date.parse(`${format.format(at).replace(' ', 'T')}Z`)
}

export interface Change {
  /** The first minute with the new offset. */
  readonly at: number
  /** By how much the clocks were set, in milliseconds. */
  readonly shift: number
}

/** All changes of a zone's clocks from 1990 to 2035. */
export function changesOf(zone: string, stepMs: number): Change[] {
  const changes: Change[] = []
  const end = Date.UTC(2036, 0, 1)
  let known = Date.UTC(1990, 0, 1)
  let offset = clock(zone, known) - known
  for (let at = known; at < end; at += stepMs) {
    const now = clock(zone, at) - at
    if (now !== offset) {
      let [low, high] = [known, at]
      while (high - low > MINUTE_MS) {
        const middle = low + Math.floor((high - low) / 2 / MINUTE_MS) * MINUTE_MS
        if (clock(zone, middle) - middle === offset) low = middle
        else high = middle
      }
      changes.push({ at: high, shift: clock(zone, high) - high - offset })
    }
    known = at
    offset = now
  }
  return changes
}

/** The minutes around an instant, which decide about ticks in the middle of them. */
export class Minutes {
  readonly from: number
  readonly to: number
  readonly #all: readonly Minute[]
  readonly #count = new Map<number, number>()
  readonly #stepMs: number

  static around(zone: string, middle: number, shift: number): Minutes {
    const width = 3 * HOUR_MS + Math.abs(shift)
    return new Minutes(zone, middle - width, middle + width, Math.abs(shift) + HOUR_MS)
  }

  /**
   * @param margin looked at on both sides, so that what comes twice is known
   * @param stepMs minutes that are left out between two: schedules and clock changes keep to such steps
   */
  constructor(zone: string, from: number, to: number, margin: number, stepMs = MINUTE_MS) {
    this.from = from
    this.to = to
    this.#stepMs = stepMs
    const all: Minute[] = []
    for (let at = from - margin; at < to + margin; at += stepMs) {
      const local = clock(zone, at)
      const pass = (this.#count.get(local) ?? 0) + 1
      this.#count.set(local, pass)
      all.push({ at, local, date: new Date(local), pass })
    }
    this.#all = all
  }

  /**
   * The ticks in `[from, to)` of a schedule that fires at the matching local minutes.
   *
   * @param seconds of these minutes; clocks change on whole minutes
   */
  ticks(matches: (local: Date) => boolean, rule: Rule, seconds: readonly number[] = [0]): Set<number> {
    const ticks = new Set<number>()
    let before: Minute | undefined
    for (const minute of this.#all) {
      const { at, local, date, pass } = minute
      const counts = rule.overlap === 'both' || pass === (rule.overlap === 'first' ? 1 : (this.#count.get(local) ?? 1))
      if (counts && matches(date)) for (const second of seconds) ticks.add(at + second * 1_000)
      if (rule.gap === 'after' && before) {
        for (let missing = before.local + this.#stepMs; missing < local; missing += this.#stepMs) {
          if (matches(new Date(missing))) ticks.add(at)
        }
      }
      before = minute
    }
    return new Set([...ticks].filter((at) => at >= this.from && at < this.to))
  }
}

/** A cron expression with its meaning, and its rule under `'auto'`. */
export type ReferenceCron = readonly [
  cron: string,
  matches: (local: Date) => boolean,
  isHourWild: boolean,
  seconds?: readonly number[],
]

export const CRONS: readonly ReferenceCron[] = [
  ['* * * * *', () => true, true],
  ['*/7 * * * *', (t) => t.getUTCMinutes() % 7 === 0, true],
  ['0 * * * *', (t) => t.getUTCMinutes() === 0, true],
  ['30 */2 * * *', (t) => t.getUTCMinutes() === 30 && t.getUTCHours() % 2 === 0, true],
  ['*/15 1-3 * * *', (t) => t.getUTCMinutes() % 15 === 0 && t.getUTCHours() >= 1 && t.getUTCHours() <= 3, false],
  ['0 30 2 * * *', (t) => t.getUTCHours() === 2 && t.getUTCMinutes() === 30, false],
  ['30 1 * * *', (t) => t.getUTCHours() === 1 && t.getUTCMinutes() === 30, false],
  ['0 0 * * *', (t) => t.getUTCHours() === 0 && t.getUTCMinutes() === 0, false],
  ['15,45 0-23 * * *', (t) => t.getUTCMinutes() % 30 === 15, false],
  ['0,30 0,2,3 * * *', (t) => [0, 2, 3].includes(t.getUTCHours()) && t.getUTCMinutes() % 30 === 0, false],
  ['5 1,23 * MAR,OCT SUN', (t) => at(t, [1, 23], 5) && [2, 9].includes(t.getUTCMonth()) && t.getUTCDay() === 0, false],
  [
    '30 0,1,2 * * SUN#2',
    (t) => at(t, [0, 1, 2], 30) && t.getUTCDay() === 0 && Math.ceil(t.getUTCDate() / 7) === 2,
    false,
  ],
  ['30 0-3 * * SUN#L', (t) => at(t, [0, 1, 2, 3], 30) && t.getUTCDay() === 0 && isLast(t, 7), false],
  ['30 0-3 L * *', (t) => at(t, [0, 1, 2, 3], 30) && isLast(t, 1), false],
  ['10,40 */20 * * * *', (t) => t.getUTCMinutes() % 20 === 0, true, [10, 40]],
  ['59 29,59 0-3 * * *', (t) => t.getUTCHours() <= 3 && t.getUTCMinutes() % 30 === 29, false, [59]],
  ['30 2 * * MON-SAT', (t) => at(t, [2], 30) && t.getUTCDay() > 0, false],
  ['15 0,2 15W * *', (t) => at(t, [0, 2], 15) && t.getUTCDate() === workdayBy15(t), false],
  ['0 0-3 1W * *', (t) => at(t, [0, 1, 2, 3], 0) && t.getUTCDate() === firstWorkday(t), false],
]

function at(t: Date, hours: readonly number[], minute: number): boolean {
  return hours.includes(t.getUTCHours()) && t.getUTCMinutes() === minute
}

/** Whether it is another month this number of days later. */
function isLast(t: Date, days: number): boolean {
  return new Date(t.getTime() + days * DAY_MS).getUTCMonth() !== t.getUTCMonth()
}

/** The workday that is nearest to the 15th. */
function workdayBy15(t: Date): number {
  const day = new Date(Date.UTC(t.getUTCFullYear(), t.getUTCMonth(), 15)).getUTCDay()
  return day === 6 ? 14 : day === 0 ? 16 : 15
}

function firstWorkday(t: Date): number {
  const first = new Date(Date.UTC(t.getUTCFullYear(), t.getUTCMonth(), 1)).getUTCDay()
  return first === 6 ? 3 : first === 0 ? 2 : 1
}
