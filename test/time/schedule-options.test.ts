import { describe, expect, it } from 'vitest'
import { registrationOf } from '../../src/engine/planning/plan-job.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import { CalendarTicks } from '../../src/time/calendar.ts'
import { jitterOf } from '../../src/time/jitter.ts'
import { Schedule } from '../../src/time/schedule.ts'
import { Timeline } from '../../src/time/window.ts'
import { Zone } from '../../src/time/zone.ts'
import { thrown } from '../support/thrown.ts'

const NEW_YEAR = new Date('2026-01-01T00:00:00Z')

function stored(spec: Partial<JobSpec>): string | null {
  return registrationOf(
    defineJob({ id: 'a', ...spec }, () => {}),
    NEW_YEAR,
  ).schedule
}

describe('the text of a schedule in the database', () => {
  it('is unchanged for a job without later options', () => {
    expect(stored({ cron: '0 * * * *' })).toBe('{"kind":"cron","cron":"0 * * * *","timezone":"UTC"}')
    expect(stored({ every: '1m', jitter: '5s' })).toBe(
      '{"kind":"every","everyMs":60000,"anchor":"1970-01-01T00:00:00.000Z"}',
    )
    expect(stored({ at: NEW_YEAR })).toBe('{"kind":"at","at":"2026-01-01T00:00:00.000Z"}')
    expect(stored({})).toBeNull()
  })

  it('has the given options, and a mark in place of a function', () => {
    const spec = { cron: ['0 1 * * *', '0 2 * * *'], dst: { gap: 'skip' }, start: NEW_YEAR } as const
    expect(stored({ ...spec, exclude: () => false })).toBe(
      '{"kind":"cron","cron":["0 1 * * *","0 2 * * *"],"timezone":"UTC","dst":{"gap":"skip"},' +
        '"start":"2026-01-01T00:00:00.000Z","exclude":{"when":"(function)"}}',
    )
  })
})

describe('an exclusion calendar', () => {
  const everySecond = { kind: 'cron', cron: '* * * * * *', timezone: 'America/New_York' } as const

  it('skips days of the zone, however many ticks they have', () => {
    const workdays = Schedule.of({ ...everySecond, exclude: { weekdays: ['sat', 'sun'], dates: ['2026-03-09'] } })
    const friday = new Date('2026-03-07T04:59:59Z')
    const tuesday = new Date('2026-03-10T04:00:00Z')
    expect(workdays.next(friday)).toEqual(tuesday)
    expect(workdays.previous(tuesday)).toEqual(friday)
  })

  it('extends windows to the next remaining tick', () => {
    const exclude = { weekdays: ['sat', 'sun'] } as const
    const daily = Schedule.of({ kind: 'cron', cron: '0 6 * * *', timezone: 'UTC', exclude })
    const monday = new Timeline(daily, { start: NEW_YEAR }).containing(new Date('2026-01-11T12:00:00Z'))
    expect(monday).toEqual({ start: new Date('2026-01-09T06:00:00Z'), end: new Date('2026-01-12T06:00:00Z') })
  })

  it('passes the local time to a function', () => {
    const seen: unknown[] = []
    const when = (...args: unknown[]): boolean => seen.push(args) === 1
    const at = {
      kind: 'every',
      everyMs: 3_600_000,
      anchor: NEW_YEAR.toISOString(),
      timezone: 'Asia/Kathmandu',
    } as const
    expect(Schedule.of({ ...at, exclude: { when } }).next(NEW_YEAR)).toEqual(new Date('2026-01-01T02:00:00Z'))
    expect(seen[0]).toEqual([
      new Date('2026-01-01T01:00:00Z'),
      { date: '2026-01-01', time: '06:45:00', weekday: 'thu' },
    ])
  })

  it('that skips everything ends the schedule', () => {
    const sundays = { kind: 'cron', cron: '0 0 * * SUN', timezone: 'America/New_York' } as const
    for (const spec of [
      { ...everySecond, exclude: { when: () => true } },
      { ...sundays, exclude: { weekdays: ['sun'] } },
    ] as const) {
      expect(Schedule.of(spec).next(NEW_YEAR)).toBeUndefined()
      expect(Schedule.of(spec).previous(NEW_YEAR)).toBeUndefined()
    }
  })

  it('checks only a few instants, even if the clocks change on a skipped day', () => {
    let asked = 0
    const counted = (step: (at: number) => number) => (at: number) => {
      asked++
      return step(at)
    }
    const everySecondOfTime = {
      next: counted((at) => Math.floor(at / 1_000) * 1_000 + 1_000),
      previous: counted((at) => Math.ceil(at / 1_000) * 1_000 - 1_000),
    }
    const dates = ['2026-03-08', '2026-11-01']
    const ticks = new CalendarTicks(everySecondOfTime, { dates }, Zone.of('America/New_York'))
    const ms = (text: string) => Date.parse(text)
    expect(ticks.next(ms('2026-03-08T04:59:59Z'))).toBe(ms('2026-03-09T04:00:00Z'))
    expect(ticks.previous(ms('2026-03-09T04:00:00Z'))).toBe(ms('2026-03-08T04:59:59Z'))
    expect(ticks.next(ms('2026-11-01T03:59:59Z'))).toBe(ms('2026-11-02T05:00:00Z'))
    expect(ticks.previous(ms('2026-11-02T05:00:00Z'))).toBe(ms('2026-11-01T03:59:59Z'))
    expect(asked).toBeLessThan(20)
  })

  it('continues after it has skipped a long time', () => {
    const wednesdays = { weekdays: ['sun', 'mon', 'tue', 'thu', 'fri', 'sat'] } as const
    const rare = Schedule.of({ kind: 'cron', cron: '0 0 29 2 *', timezone: 'UTC', exclude: wednesdays })
    expect(rare.next(new Date('2040-03-01T00:00:00Z'))).toEqual(new Date('2068-02-29T00:00:00Z'))
    expect(rare.previous(new Date('2068-02-29T00:00:00Z'))).toEqual(new Date('2040-02-29T00:00:00Z'))
  })
})

describe('jitter', () => {
  it('is the same for the same job and tick, and spreads the others evenly', () => {
    expect(jitterOf('a', NEW_YEAR, 0)).toBe(0)
    expect(jitterOf('a', NEW_YEAR, 60_000)).toBe(jitterOf('a', new Date(NEW_YEAR), 60_000))
    const delays = Array.from({ length: 4_000 }, (_, job) => jitterOf(`job-${job}`, NEW_YEAR, 3))
    for (const delay of [0, 1, 2, 3]) {
      const share = delays.filter((each) => each === delay).length / delays.length
      expect(share).toBeGreaterThan(0.2)
      expect(share).toBeLessThan(0.3)
    }
  })
})

describe('an invalid option of a schedule', () => {
  const daily = { kind: 'cron', cron: '0 0 * * *', timezone: 'UTC' } as const

  it.each<[object, string]>([
    [{ cron: [] }, 'cron is []; expected one expression or more; omit the option'],
    [
      { dst: 'utc' },
      "dst is \"utc\"; expected 'auto' or { gap: 'skip' | 'after', overlap: 'first' | 'second' | 'both' }",
    ],
    [{ dst: { gap: 'before' } }, 'dst is {"gap":"before"}; expected'],
    [
      { start: '2026-01-01' },
      'start is "2026-01-01"; expected an instant with its zone, such as "2026-01-01T00:00:00Z"',
    ],
    [
      { start: '2026-01-02T00:00:00Z', end: '2026-01-01T00:00:00Z' },
      'end is "2026-01-01T00:00:00Z"; expected an instant after start, 2026-01-02T00:00:00Z; correct one of them',
    ],
    [{ exclude: ['sat'] }, 'exclude is ["sat"]; expected an object with dates, weekdays and when'],
    [{ exclude: { dates: ['2026-02-30'] } }, 'exclude is "2026-02-30"; expected a date of the calendar'],
    [{ exclude: { weekdays: ['Saturday'] } }, 'exclude is "Saturday"; expected one of sun, mon, tue'],
    [{ exclude: { weekday: ['sat'] } }, 'exclude is "weekday"; expected one of dates, weekdays and when'],
    [
      { exclude: { weekdays: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] } },
      'expected at least one day of the week',
    ],
    [{ exclude: { when: '(function)' } }, 'exclude is "(function)"; expected a function (instant, local) => boolean'],
  ])('is refused: %j', (options, message) => {
    const error = thrown(() => Schedule.of({ ...daily, ...options }, 'sync'))
    expect(error.code).toBe('SCHEDULE_INVALID')
    expect(error.message).toContain(`job "sync": `)
    expect(error.message).toContain(message)
  })

  it.each<[Partial<JobSpec>, string]>([
    [{ every: '1m', dst: 'auto' }, 'dst "auto" has no effect without cron'],
    [{ at: NEW_YEAR, exclude: { dates: ['2026-01-01'] } }, 'has no effect without cron or every'],
    [{ start: NEW_YEAR }, 'has no effect without cron or every'],
    [{ jitter: '5s' }, 'jitter "5s" has no effect without cron, every or at'],
  ])('is refused if it has no effect: %j', (spec, message) => {
    const error = thrown(() => stored(spec))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toContain(message)
  })
})
