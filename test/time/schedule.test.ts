import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { Schedule, type ScheduleSpec } from '../../src/time/schedule.ts'
import { thrown } from '../support/thrown.ts'
import { changesOf, endlessCase } from './arbitrary.ts'
import { wallClock, ZONES } from './zones.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

function cron(expression: string, timezone = 'UTC'): Schedule {
  return Schedule.of({ kind: 'cron', cron: expression, timezone })
}

function every(everyMs: number, anchor: string): Schedule {
  return Schedule.of({ kind: 'every', everyMs, anchor })
}

function iso(date: Date | undefined): string | undefined {
  return date?.toISOString()
}

/** The ticks in `[from, to)`, forwards by next. */
function ticksIn(schedule: Schedule, from: number, to: number): string[] {
  const ticks: string[] = []
  let tick = schedule.next(new Date(from - 1))
  while (tick && tick.getTime() < to) {
    ticks.push(tick.toISOString())
    tick = schedule.next(tick)
  }
  return ticks
}

/** The ticks in `[from, to)`, backwards by previous. */
function ticksBackIn(schedule: Schedule, from: number, to: number): string[] {
  const ticks: string[] = []
  let tick = schedule.previous(new Date(to))
  while (tick && tick.getTime() >= from) {
    ticks.unshift(tick.toISOString())
    tick = schedule.previous(tick)
  }
  return ticks
}

function ticksBetween(schedule: Schedule, from: string, to: string): string[] {
  const forwards = ticksIn(schedule, Date.parse(from), Date.parse(to))
  expect(ticksBackIn(schedule, Date.parse(from), Date.parse(to))).toEqual(forwards)
  return forwards
}

describe('a cron schedule', () => {
  it('fires strictly after and strictly before an instant', () => {
    const hourly = cron('0 * * * *')
    expect(iso(hourly.next(new Date('2026-03-01T10:00:00.000Z')))).toBe('2026-03-01T11:00:00.000Z')
    expect(iso(hourly.previous(new Date('2026-03-01T10:00:00.000Z')))).toBe('2026-03-01T09:00:00.000Z')
  })

  it('answers in any order, although schedules with the same expression share what they have found', () => {
    // The same times, written so that nothing is shared.
    const [shared, same, other] = [cron('*/7 3-5 * * *'), cron('*/7 3-5 * * *'), cron('0-59/7 3-5 * * *')]
    const from = Date.UTC(2026, 2, 28)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 3 * 24 * HOUR_MS }), { minLength: 5 }), (offsets) => {
        for (const [index, offset] of offsets.entries()) {
          const at = new Date(from + offset)
          const asked = index % 2 === 0 ? shared : same
          expect(iso(asked.next(at))).toBe(iso(other.next(at)))
          expect(iso(asked.previous(at))).toBe(iso(other.previous(at)))
          const tick = asked.next(at) as Date
          expect(iso(same.next(tick))).toBe(iso(other.next(tick)))
          expect(iso(shared.next(new Date(tick.getTime() - 1)))).toBe(iso(tick))
        }
      }),
    )
  })

  it('is exact to the millisecond on either side of a tick', () => {
    const hourly = cron('0 * * * *', 'Europe/Berlin')
    expect(iso(hourly.next(new Date('2026-03-01T09:59:59.999Z')))).toBe('2026-03-01T10:00:00.000Z')
    expect(iso(hourly.next(new Date('2026-03-01T10:00:00.001Z')))).toBe('2026-03-01T11:00:00.000Z')
    expect(iso(hourly.previous(new Date('2026-03-01T10:00:00.001Z')))).toBe('2026-03-01T10:00:00.000Z')
    expect(iso(hourly.previous(new Date('2026-03-01T09:59:59.999Z')))).toBe('2026-03-01T09:00:00.000Z')
  })

  it('is exact to the millisecond before 1970, where remainders are negative', () => {
    for (const timezone of ['UTC', 'Europe/Berlin']) {
      const hourly = cron('0 * * * *', timezone)
      expect(iso(hourly.next(new Date('1965-05-05T09:59:59.999Z')))).toBe('1965-05-05T10:00:00.000Z')
      expect(iso(hourly.next(new Date('1965-05-05T10:00:00.001Z')))).toBe('1965-05-05T11:00:00.000Z')
      expect(iso(hourly.previous(new Date('1965-05-05T10:00:00.001Z')))).toBe('1965-05-05T10:00:00.000Z')
    }
  })

  it('reads six fields with the second first, names and nicknames', () => {
    const after = new Date('2026-01-01T00:00:00Z')
    expect(iso(cron('15 30 4 * * *').next(after))).toBe('2026-01-01T04:30:15.000Z')
    expect(iso(cron('0 0 * FEB MON').next(after))).toBe('2026-02-02T00:00:00.000Z')
    expect(iso(cron('@monthly').next(after))).toBe('2026-02-01T00:00:00.000Z')
    expect(iso(cron('  0   12 * * *  ').next(after))).toBe('2026-01-01T12:00:00.000Z')
  })

  it('finds ticks that are years apart', () => {
    const leapDay = cron('0 0 29 2 *', 'Europe/Berlin')
    expect(leapDay.upcoming(new Date('2095-01-01T00:00:00Z'), 3).map(iso)).toEqual([
      '2096-02-28T23:00:00.000Z',
      '2104-02-28T23:00:00.000Z',
      '2108-02-28T23:00:00.000Z',
    ])
    expect(iso(leapDay.previous(new Date('2104-01-01T00:00:00Z')))).toBe('2096-02-28T23:00:00.000Z')
  })

  it('follows the clock of its zone, and UTC under all its names', () => {
    const after = new Date('2026-07-01T00:00:00Z')
    expect(iso(cron('0 9 * * *', 'Asia/Kathmandu').next(after))).toBe('2026-07-01T03:15:00.000Z')
    for (const name of ['UTC', 'utc', 'Etc/UTC']) {
      expect(iso(cron('0 9 * * *', name).next(after))).toBe('2026-07-01T09:00:00.000Z')
    }
  })

  it('starts no timer', () => {
    vi.useFakeTimers()
    try {
      cron('* * * * * *').upcoming(new Date(0), 10)
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('does not depend on the machine clock', () => {
    vi.useFakeTimers({ now: new Date('2040-01-01T00:00:00Z') })
    try {
      expect(iso(cron('0 0 1 1 *').next(new Date('2020-06-01T00:00:00Z')))).toBe('2021-01-01T00:00:00.000Z')
      expect(iso(cron('0 0 1 1 *').previous(new Date('2050-06-01T00:00:00Z')))).toBe('2050-01-01T00:00:00.000Z')
    } finally {
      vi.useRealTimers()
    }
  })

  it.each(['UTC', 'Europe/Berlin'])('ends where the years 1000 and 2999 begin, in both directions (%s)', (timezone) => {
    const hourly = cron('0 * * * *', timezone)
    const first = hourly.next(new Date(-8.64e15))
    const last = hourly.previous(new Date(8.64e15))
    expect(first?.getUTCFullYear()).toBe(1000)
    expect(last?.getUTCFullYear()).toBe(2998)
    expect(hourly.previous(first ?? new Date(0))).toBeUndefined()
    expect(hourly.next(last ?? new Date(0))).toBeUndefined()
    expect(hourly.previous(new Date(-8.64e15))).toBeUndefined()
    expect(hourly.next(new Date(8.64e15))).toBeUndefined()
  })

  it('includes a tick at its very first instant in both directions', () => {
    const hourly = cron('0 * * * *')
    expect(iso(hourly.next(new Date('0900-01-01T00:00:00Z')))).toBe('1000-01-01T00:00:00.000Z')
    expect(iso(hourly.previous(new Date('1000-01-01T01:00:00Z')))).toBe('1000-01-01T00:00:00.000Z')
  })
})

describe('a cron schedule, when the clocks change,', () => {
  it('fires a fixed time that does not exist at the end of the gap', () => {
    expect(
      ticksBetween(cron('30 2 * * *', 'America/New_York'), '2026-03-07T00:00:00Z', '2026-03-10T00:00:00Z'),
    ).toEqual(['2026-03-07T07:30:00.000Z', '2026-03-08T07:00:00.000Z', '2026-03-09T06:30:00.000Z'])
    expect(ticksBetween(cron('30 2 * * *', 'Europe/Berlin'), '2026-03-28T00:00:00Z', '2026-03-31T00:00:00Z')).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ])
  })

  it('fires a fixed time that exists twice once, at the first', () => {
    expect(
      ticksBetween(cron('30 1 * * *', 'America/New_York'), '2026-10-31T00:00:00Z', '2026-11-03T00:00:00Z'),
    ).toEqual(['2026-10-31T05:30:00.000Z', '2026-11-01T05:30:00.000Z', '2026-11-02T06:30:00.000Z'])
    expect(ticksBetween(cron('30 2 * * *', 'Europe/Berlin'), '2026-10-24T00:00:00Z', '2026-10-27T00:00:00Z')).toEqual([
      '2026-10-24T00:30:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ])
  })

  it('does not fire a fixed time again from inside the second pass', () => {
    const daily = cron('30 1 * * *', 'America/New_York')
    expect(iso(daily.next(new Date('2026-11-01T06:15:00Z')))).toBe('2026-11-02T06:30:00.000Z')
    expect(iso(daily.previous(new Date('2026-11-01T06:45:00Z')))).toBe('2026-11-01T05:30:00.000Z')
  })

  it('knows that Lord Howe moves by half an hour', () => {
    const lordHowe = cron('15 2 * * *', 'Australia/Lord_Howe')
    // 02:00 becomes 02:30 on 4 October, and 01:30 on 5 April.
    expect(ticksBetween(lordHowe, '2026-10-02T12:00:00Z', '2026-10-05T00:00:00Z')).toEqual([
      '2026-10-02T15:45:00.000Z',
      '2026-10-03T15:30:00.000Z',
      '2026-10-04T15:15:00.000Z',
    ])
    const halfHours = cron('*/30 * * * *', 'Australia/Lord_Howe')
    expect(ticksBetween(halfHours, '2026-04-04T14:00:00Z', '2026-04-04T16:01:00Z')).toEqual([
      '2026-04-04T14:00:00.000Z',
      '2026-04-04T14:30:00.000Z',
      '2026-04-04T15:00:00.000Z',
      '2026-04-04T15:30:00.000Z',
      '2026-04-04T16:00:00.000Z',
    ])
    expect(
      ticksBetween(cron('45 1,3 * * *', 'Australia/Lord_Howe'), '2026-04-04T12:00:00Z', '2026-04-05T00:00:00Z'),
    ).toEqual(['2026-04-04T14:45:00.000Z', '2026-04-04T17:15:00.000Z'])
  })

  it('continues hour by hour', () => {
    const hourly = cron('0 * * * *', 'Europe/Berlin')
    for (const day of ['2026-03-29', '2026-10-25']) {
      const start = Date.parse(`${day}T00:00:00Z`)
      const hours = Array.from({ length: 24 }, (_, hour) => iso(new Date(start + hour * HOUR_MS)))
      expect(ticksBetween(hourly, `${day}T00:00:00Z`, new Date(start + 24 * HOUR_MS).toISOString())).toEqual(hours)
    }
  })

  it('fires once for a day that a zone left out', () => {
    expect(ticksBetween(cron('0 12 * * *', 'Pacific/Apia'), '2011-12-29T00:00:00Z', '2012-01-01T00:00:00Z')).toEqual([
      '2011-12-29T22:00:00.000Z',
      '2011-12-30T10:00:00.000Z',
      '2011-12-30T22:00:00.000Z',
      '2011-12-31T22:00:00.000Z',
    ])
  })

  it('fires exactly in the minutes whose wall clock matches its fields, if it follows elapsed time', () => {
    const place = fc
      .constantFrom(...ZONES)
      .chain((zone) => fc.tuple(fc.constant(zone), fc.constantFrom(...changesOf(zone))))
    const some = (max: number) => fc.uniqueArray(fc.nat(max), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(place, some(59), some(4), ([zone, change], minutes, hours) => {
        const from = Math.floor(change / MINUTE_MS) * MINUTE_MS - 5 * HOUR_MS
        const to = from + 10 * HOUR_MS
        const expected: string[] = []
        for (let minute = from; minute < to; minute += MINUTE_MS) {
          const clock = wallClock(zone, minute)
          if (hours.includes(clock.getUTCHours()) && minutes.includes(clock.getUTCMinutes())) {
            expected.push(new Date(minute).toISOString())
          }
        }
        const schedule = Schedule.of({
          kind: 'cron',
          cron: `${minutes.join(',')} ${hours.join(',')} * * *`,
          timezone: zone,
          dst: { gap: 'skip', overlap: 'both' },
        })
        expect(ticksIn(schedule, from, to)).toEqual(expected)
        expect(ticksBackIn(schedule, from, to)).toEqual(expected)
      }),
      { numRuns: 40 },
    )
  })
})

describe('a fixed rate', () => {
  it('is aligned to its anchor, on both sides of it', () => {
    const quarter = every(15 * MINUTE_MS, '2026-01-01T00:05:00.250Z')
    expect(iso(quarter.next(new Date('2026-01-01T00:05:00.250Z')))).toBe('2026-01-01T00:20:00.250Z')
    expect(iso(quarter.next(new Date('2026-01-01T00:05:00.249Z')))).toBe('2026-01-01T00:05:00.250Z')
    expect(iso(quarter.previous(new Date('2026-01-01T00:05:00.250Z')))).toBe('2025-12-31T23:50:00.250Z')
    expect(iso(quarter.previous(new Date('2026-01-01T00:05:00.251Z')))).toBe('2026-01-01T00:05:00.250Z')
    expect(iso(quarter.next(new Date('1960-01-01T00:00:00Z')))).toBe('1960-01-01T00:05:00.250Z')
  })

  it('ignores daylight saving: a day is 24 hours', () => {
    const daily = every(24 * HOUR_MS, '2026-03-28T00:00:00+01:00')
    expect(daily.upcoming(new Date('2026-03-28T00:00:00Z'), 2).map(iso)).toEqual([
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T23:00:00.000Z',
    ])
  })

  it('stays on the grid for any instant', () => {
    const instant = fc.integer({ min: -2e13, max: 2e14 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e13 }), instant, instant, (everyMs, anchor, at) => {
        const schedule = every(everyMs, new Date(anchor).toISOString())
        const next = schedule.next(new Date(at))?.getTime() ?? Number.NaN
        expect(next).toBeGreaterThan(at)
        expect(next - at).toBeLessThanOrEqual(everyMs)
        expect((BigInt(next) - BigInt(anchor)) % BigInt(everyMs)).toBe(0n)
        expect(schedule.previous(new Date(next))?.getTime()).toBe(next - everyMs)
      }),
    )
  })

  it('ends at the limits of databases', () => {
    const yearly = every(365 * 24 * HOUR_MS, '1970-01-01T00:00:00Z')
    expect(yearly.next(new Date('9999-12-01T00:00:00Z'))).toBeUndefined()
    expect(yearly.previous(new Date('1000-02-01T00:00:00Z'))).toBeUndefined()
    expect(yearly.next(new Date(8.64e15))).toBeUndefined()
    expect(yearly.previous(new Date(-8.64e15))).toBeUndefined()
  })
})

describe('a schedule for one instant', () => {
  const once = Schedule.of({ kind: 'at', at: '2026-05-01T12:00:00.500+02:00' })

  it('fires once', () => {
    expect(once.upcoming(new Date(0), 5).map(iso)).toEqual(['2026-05-01T10:00:00.500Z'])
  })

  it('has a next tick before its instant, but not at it', () => {
    const at = new Date('2026-05-01T10:00:00.500Z')
    expect(once.next(at)).toBeUndefined()
    expect(once.previous(at)).toBeUndefined()
    expect(iso(once.previous(new Date(at.getTime() + 1)))).toBe(at.toISOString())
    expect(iso(once.next(new Date(at.getTime() - 1)))).toBe(at.toISOString())
  })

  it('returns a new Date to every caller', () => {
    once.next(new Date(0))?.setTime(0)
    expect(iso(once.next(new Date(0)))).toBe('2026-05-01T10:00:00.500Z')
  })
})

describe('any schedule', () => {
  it('lists the requested number of upcoming ticks', () => {
    expect(cron('0 * * * *').upcoming(new Date(0), 0)).toEqual([])
    expect(cron('0 * * * *').upcoming(new Date(0), 2).map(iso)).toEqual([
      '1970-01-01T01:00:00.000Z',
      '1970-01-01T02:00:00.000Z',
    ])
  })

  it('is parsed once for each spec', () => {
    const spec: ScheduleSpec = { kind: 'cron', cron: '0 * * * *', timezone: 'UTC' }
    expect(Schedule.of(spec, 'a')).toBe(Schedule.of(spec, 'b'))
    expect(Schedule.of({ ...spec })).not.toBe(Schedule.of(spec))
  })

  it('refuses an invalid Date', () => {
    expect(() => cron('0 * * * *').next(new Date(Number.NaN))).toThrow(RangeError)
    expect(() => every(1, '1970-01-01T00:00:00Z').previous(new Date('nonsense'))).toThrow(RangeError)
  })

  it('is strictly increasing, and next and previous agree, from any instant', () => {
    fc.assert(
      fc.property(endlessCase, fc.double({ min: 0, max: 1, noNaN: true }), ({ spec, at }, part) => {
        const schedule = Schedule.of(spec)
        const next = (ms: number) => schedule.next(new Date(ms))?.getTime() ?? Number.NaN
        const previous = (ms: number) => schedule.previous(new Date(ms))?.getTime() ?? Number.NaN
        const first = next(at)
        const second = next(first)
        expect(first).toBeGreaterThan(at)
        expect(second).toBeGreaterThan(first)
        expect(previous(second)).toBe(first)
        expect(next(first - 1)).toBe(first)
        expect(previous(first + 1)).toBe(first)
        const between = first + Math.floor(part * (second - first - 1))
        expect(next(between)).toBe(second)
        if (between > first) expect(previous(between)).toBe(first)
        const before = previous(at)
        expect(before).toBeLessThan(at)
        expect(next(before)).toBeGreaterThanOrEqual(at)
      }),
      { numRuns: 150 },
    )
  })
})

describe('an invalid schedule', () => {
  it.each<[ScheduleSpec, string]>([
    [
      { kind: 'cron', cron: '60 * * * *', timezone: 'UTC' },
      'job "sync": cron is "60 * * * *"; expected five fields (minute, hour, day of month, month, weekday), or six with the second first, such as "0 * * * *"; correct it: Invalid value for minute: 60',
    ],
    [
      { kind: 'cron', cron: '0 0 30 2 *', timezone: 'UTC' },
      'job "sync": cron is "0 0 30 2 *"; expected a date that occurs at least once; correct its day of month, month and weekday',
    ],
    [
      { kind: 'cron', cron: '0 12:30 * * *', timezone: 'UTC' },
      'job "sync": cron is "0 12:30 * * *"; expected five fields (minute, hour, day of month, month, weekday), or six with the second first, without ":"; write 12:30 as "30 12 * * *", or one instant with the option at',
    ],
    [
      { kind: 'cron', cron: '0 * * * *', timezone: 'Mars/Olympus' },
      'job "sync": timezone is "Mars/Olympus"; expected an IANA time zone; use a name such as "Europe/Berlin", or "UTC"',
    ],
    [
      { kind: 'cron', cron: '0 * * * *', timezone: 'new york' },
      'job "sync": timezone is "new york"; expected an IANA time zone; use a name such as "America/New_York", or "UTC"',
    ],
    [
      { kind: 'every', everyMs: 0, anchor: '1970-01-01T00:00:00Z' },
      'job "sync": everyMs is 0; expected a whole number of milliseconds above 0; give the option every a duration such as "10s"',
    ],
    [
      { kind: 'at', at: 'tomorrow' },
      'job "sync": at is "tomorrow"; expected an instant with its zone, such as "2026-01-01T00:00:00Z" or "2026-01-01T01:00:00+01:00"; correct it',
    ],
    [
      { kind: 'at', at: '2026-02-30T00:00:00Z' },
      'job "sync": at is "2026-02-30T00:00:00Z"; expected a day that exists: 2026-02 has 28 days; correct it',
    ],
    [
      { kind: 'hourly' } as unknown as ScheduleSpec,
      'job "sync": kind is "hourly"; expected "cron", "every" or "at"; use one of them',
    ],
  ])('is refused with its value, the expected form and what to do: %j', (spec, message) => {
    expect(thrown(() => Schedule.of(spec, 'sync'))).toMatchObject({ code: 'SCHEDULE_INVALID', message })
  })

  it('names value and option as data, and keeps the cause', () => {
    const error = thrown(() => Schedule.of({ kind: 'cron', cron: '* * *', timezone: 'UTC' }))
    expect(error.message).toMatch(/^cron is/)
    expect(error.details).toEqual({ option: 'cron', value: '* * *' })
    expect(error.cause).toBeInstanceOf(TypeError)
  })

  it.each([
    '',
    '* * * *',
    '* * * * * * 2026',
    '@reboot',
    '/5 * * * *',
    '5-1 * * * *',
    '0 0 * * FOO',
    '2026-01-01T00:00:00Z',
  ])('is refused as cron: %j', (expression) => {
    expect(thrown(() => cron(expression)).code).toBe('SCHEDULE_INVALID')
  })

  it.each(['0 0 31 4,6 *', '0 0 30-31 2 *', '0 0 8 1 +MON#1'])(
    'is refused because it never fires: %j',
    (expression) => {
      expect(thrown(() => cron(expression, 'Europe/Berlin')).message).toContain(
        'expected a date that occurs at least once',
      )
    },
  )

  it.each(['', 'Berlin', '+02:00', 'GMT+2', 'Local', null])('is refused as a time zone: %j', (timezone) => {
    expect(thrown(() => cron('0 * * * *', timezone as string)).details['option']).toBe('timezone')
  })

  it.each([-1, 0.5, Number.NaN, Infinity, '10s'])('is refused as a rate: %j', (everyMs) => {
    expect(thrown(() => every(everyMs as number, '1970-01-01T00:00:00Z')).details['option']).toBe('everyMs')
  })

  it.each(['2026-01-01', '2026-01-01T00:00:00', '2026-13-01T00:00:00Z', '1767225600000', ''])(
    'is refused as an anchor, which must mean the same on every machine: %j',
    (anchor) => {
      expect(thrown(() => every(1_000, anchor)).details['option']).toBe('anchor')
    },
  )

  it('is refused for any string, and never with another kind of error', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789*/,-#LW+?@ ') }))
    fc.assert(
      fc.property(text, text, (expression, timezone) => {
        for (const act of [() => cron(expression), () => cron('* * * * *', timezone), () => every(1, expression)]) {
          try {
            act()
          } catch (error) {
            expect(error).toMatchObject({ code: 'SCHEDULE_INVALID' })
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})
