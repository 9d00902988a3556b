import { describe, expect, it } from 'vitest'
import { type Calendar, WEEKDAYS } from '../../src/time/calendar.ts'
import { Schedule, type ScheduleSpec } from '../../src/time/schedule.ts'
import { Timeline } from '../../src/time/window.ts'
import { Zone } from '../../src/time/zone.ts'
import { type Change, changesOf, clock, CRONS, Minutes, type ReferenceCron, type Rule } from './reference.ts'

// Checks every zone on both sides of every change of its clocks, and every kind of schedule around one gap and one overlap of each zone,
// once for zones whose clocks have always shown the same.
// It looks for changes every fifth day, since no zone's clocks were ever set back so soon.
// With PIKO_TIME_SWEEP=full it looks every day and checks every change, which takes minutes instead of one.
const IS_FULL = process.env['PIKO_TIME_SWEEP'] === 'full'
const SEED = Number(process.env['PIKO_TIME_SEED'] ?? 1)

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const RULES: readonly (Rule | 'auto')[] = [
  'auto',
  ...(['skip', 'after'] as const).flatMap((gap) =>
    (['first', 'second', 'both'] as const).map((overlap) => ({ gap, overlap })),
  ),
]

/** A small seeded generator (mulberry32), for the same cases on every machine. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

type Random = ReturnType<typeof randomOf>

interface Case {
  readonly spec: ScheduleSpec
  /** The ticks that the reference finds. */
  readonly expected: readonly number[]
}

function cronCase(zone: string, minutes: Minutes, crons: readonly ReferenceCron[], random: Random): Case {
  const dst = RULES[random(RULES.length)] ?? 'auto'
  const ticks = new Set<number>()
  for (const [, matches, isHourWild, seconds] of crons) {
    const auto: Rule = isHourWild ? { gap: 'skip', overlap: 'both' } : { gap: 'after', overlap: 'first' }
    const rule = dst === 'auto' ? auto : dst
    for (const tick of minutes.ticks(matches, rule, seconds)) ticks.add(tick)
  }
  const bounds = boundsOf(zone, minutes, random)
  const texts = crons.map(([text]) => text)
  const cron = texts.length === 1 ? (texts[0] ?? '') : texts
  return { spec: { kind: 'cron', cron, timezone: zone, dst, ...bounds.spec }, expected: bounds.apply([...ticks]) }
}

function everyCase(zone: string, minutes: Minutes, random: Random): Case {
  const everyMs = (random(300) + 1) * MINUTE_MS
  const anchor = Math.floor(minutes.from / MINUTE_MS - random(1_000_000)) * MINUTE_MS
  const ticks: number[] = []
  for (let at = minutes.from; at < minutes.to; at += MINUTE_MS) if ((at - anchor) % everyMs === 0) ticks.push(at)
  const bounds = boundsOf(zone, minutes, random)
  return {
    spec: { kind: 'every', everyMs, anchor: new Date(anchor).toISOString(), timezone: zone, ...bounds.spec },
    expected: bounds.apply(ticks),
  }
}

function atCase(minutes: Minutes, random: Random): Case {
  const at = minutes.from + random((minutes.to - minutes.from) / MINUTE_MS) * MINUTE_MS
  return { spec: { kind: 'at', at: new Date(at).toISOString() }, expected: [at] }
}

/** Uses each option in one of four cases. */
function boundsOf(zone: string, { from, to }: Minutes, random: Random) {
  const within = (): number => from + random((to - from) / MINUTE_MS) * MINUTE_MS
  const [start, end] = [
    random(4) === 0 ? from + random(60) * MINUTE_MS : -Infinity,
    random(4) === 0 ? to - random(60) * MINUTE_MS : Infinity,
  ]
  const date = new Date(clock(zone, within())).toISOString().slice(0, 10)
  const weekday = WEEKDAYS[new Date(clock(zone, within())).getUTCDay()] ?? 'sun'
  const hour = random(24)
  const calendars: readonly (readonly [Calendar, (at: number) => boolean])[] = [
    [{ dates: [date] }, (at) => new Date(clock(zone, at)).toISOString().startsWith(date)],
    [{ weekdays: [weekday] }, (at) => WEEKDAYS[new Date(clock(zone, at)).getUTCDay()] === weekday],
    [
      { when: (_instant, local) => Number(local.time.slice(0, 2)) === hour },
      (at) => new Date(clock(zone, at)).getUTCHours() === hour,
    ],
  ]
  const calendar = random(4) === 0 ? calendars[random(calendars.length)] : undefined
  return {
    spec: {
      ...(start !== -Infinity && { start: new Date(start).toISOString() }),
      ...(end !== Infinity && { end: new Date(end).toISOString() }),
      ...(calendar && { exclude: calendar[0] }),
    },
    apply: (ticks: readonly number[]): number[] =>
      ticks.filter((at) => at >= start && at <= end && calendar?.[1](at) !== true).sort((a, b) => a - b),
  }
}

/** Compares one schedule with the reference, forwards, backwards and by its windows. */
function check({ spec, expected }: Case, { from, to }: Minutes, random: Random): void {
  const schedule = Schedule.of(spec)
  const forwards: number[] = []
  for (let tick = schedule.next(new Date(from - 1)); tick && tick.getTime() < to; tick = schedule.next(tick)) {
    forwards.push(tick.getTime())
  }
  const backwards: number[] = []
  for (let tick = schedule.previous(new Date(to)); tick && tick.getTime() >= from; tick = schedule.previous(tick)) {
    backwards.unshift(tick.getTime())
  }
  const text = (ticks: readonly number[]): string[] => ticks.map((tick) => new Date(tick).toISOString())
  const isSame = (ticks: readonly number[]): boolean => ticks.join() === expected.join()
  if (!isSame(forwards)) expect.soft({ spec, forwards: text(forwards) }).toEqual({ spec, forwards: text(expected) })
  if (!isSame(backwards)) expect.soft({ spec, backwards: text(backwards) }).toEqual({ spec, backwards: text(expected) })

  // From any instant, and from one that is not on a whole minute.
  const at = from + random(to - from)
  const next = expected.find((tick) => tick > at)
  const previous = expected.findLast((tick) => tick < at)
  if (next !== undefined) expect(schedule.next(new Date(at))?.getTime()).toBe(next)
  if (previous !== undefined) expect(schedule.previous(new Date(at))?.getTime()).toBe(previous)

  // Windows tile: each begins where the previous one ended, and all boundaries are ticks.
  const timeline = new Timeline(schedule, { start: new Date(from), end: new Date(to) })
  const boundaries = [...timeline.windowsFrom(new Date(from))].map(({ start, end }) => [start.getTime(), end.getTime()])
  const inside = expected.filter((tick) => tick > from)
  const tiles = [from, ...inside].map((start, index) => [start, inside[index] ?? to])
  if (boundaries.join() !== tiles.join()) expect.soft({ spec, boundaries }).toEqual({ spec, boundaries: tiles })
}

/** Every kind of schedule at one place: each expression, several at once, a rate, an instant. */
function casesOf(zone: string, minutes: Minutes, random: Random): Case[] {
  const several = [1, 2].map(() => CRONS[random(CRONS.length)]).filter((cron) => cron !== undefined)
  // Checking every minute costs a thousand times as much as once a day, but shows little more.
  const chosen = CRONS.filter(([cron]) => cron !== '* * * * *' || random(8) === 0)
  return [
    ...chosen.map((cron) => cronCase(zone, minutes, [cron], random)),
    cronCase(zone, minutes, several, random),
    everyCase(zone, minutes, random),
    atCase(minutes, random),
  ]
}

/** Schedules use only a zone's offsets and changes. Both must match the zone's clocks on both sides of each change. */
function checkZone(name: string, changes: readonly Change[]): void {
  const zone = Zone.of(name)
  const found: number[] = []
  const end = Date.UTC(2036, 0, 1)
  for (let at = zone.changeAfter(Date.UTC(1990, 0, 1), end); at !== undefined; at = zone.changeAfter(at, end))
    found.push(at)
  expect({ name, found }).toEqual({ name, found: changes.map(({ at }) => at) })
  for (const { at } of changes) {
    for (const instant of [at - MINUTE_MS, at - 1, at, at + MINUTE_MS]) {
      const minute = Math.floor(instant / MINUTE_MS) * MINUTE_MS
      expect(zone.offsetAt(instant)).toBe(clock(name, minute) - minute)
    }
    expect(zone.changeBefore(at, at - MINUTE_MS)).toBe(at)
    expect(zone.changeBefore(at - 1, at - MINUTE_MS)).toBeUndefined()
  }
}

/** One gap, one overlap and one place without a change, or all changes. */
function placesOf(changes: readonly Change[], random: Random): Change[] {
  const somewhere = { at: Date.UTC(1990, 0, 2) + random(45 * 365 * 24) * 3_600_000, shift: 0 }
  if (IS_FULL) return [...changes, somewhere]
  const one = (fits: (change: Change) => boolean) => {
    const fitting = changes.filter(fits)
    return fitting[random(fitting.length)]
  }
  const [gap, overlap] = [one(({ shift }) => shift > 0), one(({ shift }) => shift < 0)]
  return [gap, overlap].filter((change) => change !== undefined).concat(gap && overlap ? [] : somewhere)
}

/**
 * Groups changes with the same shift at the same local time. In the full sweep, one zone represents all others, since schedules depend only
 * on a zone's offsets, which are checked for every zone.
 */
const known = new Set<string>()
function isKnown(zone: string, { at, shift }: Change): boolean {
  if (!IS_FULL || shift === 0) return false
  const change = `${clock(zone, at)} ${shift}`
  const isRepeated = known.has(change)
  known.add(change)
  return isRepeated
}

/** Whether the clocks of another zone have always shown the same. Schedules depend on nothing else. */
const histories = new Set<string>()
function isTwin(zone: string, changes: readonly Change[]): boolean {
  const from = Date.UTC(1990, 0, 1)
  const history = [clock(zone, from) - from, ...changes.map(({ at, shift }) => `${at} ${shift}`)].join()
  const isRepeated = histories.has(history)
  histories.add(history)
  return isRepeated
}

const zones = Intl.supportedValuesOf('timeZone')
const CHUNKS = 8
/** In each part. */
const LEAST_HISTORIES = 20

describe('schedules of every zone, 1990 to 2035, against the reference', () => {
  it.each(Array.from({ length: CHUNKS }, (_, chunk) => chunk))(
    'fire at exactly the same instants, forwards and backwards, and their windows tile (part %i)',
    (chunk) => {
      let count = 0
      for (const zone of zones.filter((_, index) => index % CHUNKS === chunk)) {
        const random = randomOf(SEED * 1_000 + zones.indexOf(zone))
        const changes = changesOf(zone, IS_FULL ? DAY_MS : 5 * DAY_MS)
        checkZone(zone, changes)
        if (isTwin(zone, changes)) continue
        for (const place of placesOf(changes, random)) {
          if (isKnown(zone, place)) continue
          const minutes = Minutes.around(zone, place.at, place.shift)
          for (const each of casesOf(zone, minutes, random)) {
            check(each, minutes, random)
            count++
          }
        }
      }
      // All expressions except one, several together, a rate and an instant, for each history of clocks.
      if (!IS_FULL) expect(count).toBeGreaterThan(LEAST_HISTORIES * (CRONS.length + 2))
      else process.stderr.write(`part ${chunk}: ${count} schedules compared\n`)
    },
    IS_FULL ? 3_600_000 : 600_000,
  )
})
