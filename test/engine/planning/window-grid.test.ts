import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planJob, registrationOf } from '../../../src/engine/planning/plan-job.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { AnyJobSpec, WindowPolicy, WindowsSpec } from '../../../src/job/spec.ts'
import type { DueJob, PlanDecision } from '../../../src/store/jobs/plan.ts'
import { previewOf } from '../../../src/time/preview.ts'
import { Schedule } from '../../../src/time/schedule.ts'
import { changesOf } from '../../time/arbitrary.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const t = (text: string): Date => new Date(text)
const short = (date: Date | undefined): string | undefined => date?.toISOString().replace(/:00\.000Z$/, 'Z')

function job(windows: Partial<WindowsSpec>, spec: Partial<AnyJobSpec> = {}) {
  const option = { start: '2025-01-01', grid: '0 0 * * *', ...windows }
  return defineJob({ id: 'a', timezone: 'Europe/Berlin', ...spec, windows: option }, () => undefined)
}

function due(options: Partial<DueJob> = {}): DueJob {
  return { id: 'a', nextTick: undefined, windowCursor: undefined, pending: 0, active: 0, ...options }
}

const runs = ({ runs: planned }: PlanDecision) =>
  planned.map(({ window, runAt, tick }) => [short(window?.start), short(window?.end), short(runAt), short(tick)])

describe('a job whose windows have a grid of their own', () => {
  it('runs the Berlin day at 03:00, however long the day was', () => {
    const spec = job({}, { cron: '0 3 * * *' })
    const cursor = t('2025-03-28T23:00:00Z')
    const plan = planJob(spec, due({ windowCursor: cursor }), t('2025-03-31T01:00:00Z'), t('2025-03-31T01:00:00Z'))
    expect(runs(plan)).toEqual([
      ['2025-03-28T23:00Z', '2025-03-29T23:00Z', '2025-03-30T01:00Z', '2025-03-30T01:00Z'],
      ['2025-03-29T23:00Z', '2025-03-30T22:00Z', '2025-03-31T01:00Z', '2025-03-31T01:00Z'],
    ])
    expect([short(plan.nextTick), short(plan.planAt)]).toEqual(['2025-04-01T01:00Z', '2025-04-01T01:00Z'])
    // At 02:59 the second day is over, but not due.
    const early = planJob(spec, due({ windowCursor: cursor }), t('2025-03-31T00:59:00Z'), t('2025-03-31T00:59:59Z'))
    expect(early.runs).toHaveLength(1)
  })

  it('runs each window a delay after its end', () => {
    const plan = planJob(
      job({ delay: '3h' }),
      due({ windowCursor: t('2025-03-29T23:00:00Z') }),
      t('2025-03-31T01:00:00Z'),
      t('2025-03-31T01:00:00Z'),
    )
    // 23 hours, and three hours on the clock after midnight.
    expect(runs(plan)).toEqual([['2025-03-29T23:00Z', '2025-03-30T22:00Z', '2025-03-31T01:00Z', '2025-03-31T01:00Z']])
    const bare = planJob(
      job({}),
      due({ windowCursor: t('2025-06-14T22:00:00Z') }),
      t('2025-06-15T22:00:00Z'),
      t('2025-06-15T22:00:00Z'),
    )
    expect(runs(bare)).toEqual([['2025-06-14T22:00Z', '2025-06-15T22:00Z', '2025-06-15T22:00Z', '2025-06-15T22:00Z']])
    const without = defineJob(
      { id: 'a', cron: '0 * * * *', windows: { start: '2025-01-01T00:00:00Z', delay: '10m' } },
      () => undefined,
    )
    const hour = planJob(
      without,
      due({ windowCursor: t('2025-06-15T10:00:00Z') }),
      t('2025-06-15T11:10:00Z'),
      t('2025-06-15T11:10:00Z'),
    )
    expect(runs(hour)).toEqual([['2025-06-15T10:00Z', '2025-06-15T11:00Z', '2025-06-15T11:10Z', '2025-06-15T11:10Z']])
  })

  it('with a cron that skips windows runs all of them at its next tick, which belongs to the last', () => {
    const weekly = job({}, { cron: '0 3 * * MON' })
    const now = t('2025-06-16T01:00:00Z')
    const plan = planJob(weekly, due({ windowCursor: t('2025-06-12T22:00:00Z') }), now, now)
    expect(runs(plan)).toEqual([
      ['2025-06-12T22:00Z', '2025-06-13T22:00Z', '2025-06-16T01:00Z', undefined],
      ['2025-06-13T22:00Z', '2025-06-14T22:00Z', '2025-06-16T01:00Z', undefined],
      ['2025-06-14T22:00Z', '2025-06-15T22:00Z', '2025-06-16T01:00Z', '2025-06-16T01:00Z'],
    ])
  })

  it('with a cron that ticks several times per window runs each window once, at the first tick', () => {
    const hourly = job({}, { cron: '30 * * * *' })
    const now = t('2025-06-16T12:00:00Z')
    const plan = planJob(hourly, due({ windowCursor: t('2025-06-14T22:00:00Z') }), now, now)
    expect(runs(plan)).toEqual([['2025-06-14T22:00Z', '2025-06-15T22:00Z', '2025-06-15T22:30Z', '2025-06-15T22:30Z']])
    expect(short(plan.nextTick)).toBe('2025-06-16T22:30Z')
  })

  it('catches up by what was due, not by what was over', () => {
    const at = (catchUp: 'latest' | 'none', now: string) =>
      registrationOf(job({ catchUp }, { cron: '0 3 * * *' }), t(now)).begin
    // At 02:00 the day before is over, but it will run at 03:00.
    expect(short(at('none', '2025-06-16T00:00:00Z').windowCursor)).toBe('2025-06-14T22:00Z')
    expect(short(at('none', '2025-06-16T00:00:00Z').nextTick)).toBe('2025-06-16T01:00Z')
    expect(short(at('none', '2025-06-16T02:00:00Z').windowCursor)).toBe('2025-06-15T22:00Z')
    expect(short(at('latest', '2025-06-16T00:00:00Z').windowCursor)).toBe('2025-06-13T22:00Z')
    const missed = (now: string) =>
      planJob(
        job({ catchUp: 'none' }, { cron: '0 3 * * *' }),
        due({ windowCursor: t('2025-06-14T22:00:00Z') }),
        t(now),
        t(now),
      )
    expect(missed('2025-06-16T01:04:00Z').runs).toHaveLength(1)
    expect(missed('2025-06-16T01:06:00Z').skippedWindows).toHaveLength(1)
  })

  it('keeps its bounds when its schedule is overridden, and has none left when that schedule ends', () => {
    const spec = job({}, { cron: '0 3 * * *' })
    const { grid } = spec.policy.windows as WindowPolicy
    const generations = [{ start: t('2024-12-31T23:00:00Z'), schedule: JSON.stringify(grid) }]
    const cursor = { windowCursor: t('2025-06-14T22:00:00Z'), generations }
    const now = t('2025-06-16T04:00:00Z')
    const moved = planJob(spec, due({ ...cursor, schedule: '0 6 * * *' }), now, now)
    expect(runs(moved)).toEqual([['2025-06-14T22:00Z', '2025-06-15T22:00Z', '2025-06-16T04:00Z', '2025-06-16T04:00Z']])
    const ended = job({}, { cron: '0 3 * * *', end: '2025-06-15T12:00:00Z' })
    expect(planJob(ended, due(cursor), now, now)).toMatchObject({ runs: [], nextTick: undefined, planAt: undefined })
  })

  it('previews its ticks with the windows that are due then', () => {
    const spec = job({}, { cron: '0 3 * * MON' })
    const { schedule, windows } = spec.policy
    const preview = previewOf(schedule!, t('2025-06-10T00:00:00Z'), 1, windows)
    expect(preview.ticks.map(({ at }) => short(at))).toEqual(['2025-06-16T01:00Z'])
    expect(preview.windows.map(({ start }) => short(start))).toEqual(
      [8, 9, 10, 11, 12, 13, 14].map((day) => `2025-06-${String(day).padStart(2, '0')}T22:00Z`),
    )
    const delayed = job({ delay: '3h' }).policy
    const late = previewOf(delayed.schedule!, t('2025-06-16T00:30:00Z'), 1, delayed.windows)
    expect(late.ticks).toMatchObject([{ local: '2025-06-16T03:00:00' }])
    expect(late.windows).toMatchObject([{ start: t('2025-06-14T22:00:00Z'), end: t('2025-06-15T22:00:00Z') }])
  })
})

describe('the options of a grid', () => {
  const fault = (windows: object, spec: object = {}): string => {
    try {
      job(windows, spec)
    } catch (error) {
      return (error as Error).message
    }
    return 'none'
  }

  it('are refused with all problems at once', () => {
    expect(fault({ grid: 'daily' })).toMatch(/^job "a": windows\.grid is "daily"; expected five fields/)
    expect(fault({ grid: ['0 0 * * *', '0 0 31 2 *'] })).toContain(
      'windows.grid is "0 0 31 2 *"; expected a date that occurs',
    )
    expect(fault({ grid: [] })).toContain('windows.grid is an empty list')
    expect(fault({ grid: 7 })).toContain('windows.grid is 7; expected five fields')
    expect(fault({ delay: '3 hours' })).toContain('windows.delay of job "a" is "3 hours"; expected')
    expect(fault({ delay: '3h' }, { cron: '0 3 * * *' })).toContain('windows.delay "3h" has no effect beside cron')
    expect(fault({}, { at: '2025-01-01T00:00:00Z' })).toContain(
      'its windows need cron or every, or no schedule besides windows.grid',
    )
    expect(fault({}, { exclude: { weekdays: ['sat'] } })).toContain('has no effect without cron or every')
    expect(fault({ start: '2025-02-30' })).toContain('windows.start is "2025-02-30"; expected a day that exists')
    const all = fault({ grid: 'x', delay: 'y', start: 'z', catchUp: 'q' }, { timezone: 'Berlin' })
    for (const option of ['windows.grid', 'windows.delay', 'windows.start', 'windows.catchUp'])
      expect(all).toContain(option)
    expect(fault({}, { timezone: 'Berlin' })).toMatch(/^job "a": timezone is "Berlin"/)
  })

  it('leave the stored form of windows without them as it was', () => {
    const plain = defineJob({ id: 'a', cron: '0 * * * *', windows: { start: '2025-01-01T00:00:00Z' } }, () => undefined)
    const { windows, bounds, schedule } = registrationOf(plain, t('2025-06-01T00:00:00Z'))
    expect(windows).toBe('{"start":"2025-01-01T00:00:00.000Z","catchUp":"all","parallel":1}')
    expect(bounds).toBe(schedule)
  })
})

const GRIDS = ['0 0 * * *', '0 */6 * * *', '30 2 * * *', '0 * * * *', '0 0 * * MON', '15 0,12 * * *'] as const
const OWN = ['0 3 * * *', '30 * * * *', '0 3 * * MON', '0 0 1 * *', '30 2 * * *', undefined] as const
const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'America/St_Johns',
] as const
const DSTS = ['auto', { gap: 'skip', overlap: 'both' }, { gap: 'after', overlap: 'second' }] as const

const place = fc.constantFrom(...ZONES).chain((timezone) => {
  const changes = changesOf(timezone).filter((change) => change > Date.UTC(2005, 0) && change < Date.UTC(2026, 0))
  return fc.record({ timezone: fc.constant(timezone), change: fc.constantFrom(...changes) })
})

describe('the windows of any grid around any change of the clocks', () => {
  it('tile without gap or overlap, whatever the steps and the schedules in which they were planned', () => {
    fc.assert(
      fc.property(
        place,
        fc.constantFrom(...GRIDS),
        fc.array(fc.constantFrom(...OWN), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(...DSTS),
        fc.constantFrom(undefined, '3h' as const),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 3, maxLength: 12 }),
        fc.integer({ min: 0, max: 3 * DAY_MS }),
        ({ timezone, change }, grid, owns, dst, delay, steps, before) => {
          const start = new Date(change - before)
          const [code] = owns
          const spec = job(
            { start, grid, ...(code === undefined && delay && { delay }) },
            { timezone, dst, ...(code && { cron: code }) },
          )
          const policy = spec.policy.windows as WindowPolicy
          let cursor = registrationOf(spec, start).begin.windowCursor as Date
          expect(cursor).toEqual(start)
          const ticks = new Set<number>()
          let last: string | undefined
          let now = start.getTime()
          let end = start.getTime()
          for (const [index, step] of steps.entries()) {
            now += step * 6 * HOUR_MS
            // Overrides the schedule on the way; the bounds stay those of the grid.
            const own = owns[index % owns.length]
            const schedule =
              own === undefined || index === 0 ? undefined : JSON.stringify({ kind: 'cron', cron: own, timezone, dst })
            const planned = planJob(
              spec,
              due({ windowCursor: cursor, ...(schedule !== undefined && { schedule }) }),
              new Date(now),
              new Date(now),
            )
            cursor = planned.windowCursor as Date
            // Another schedule may have a tick that has fired already. The store leaves it out, and its window runs without a tick.
            if (schedule !== last) ticks.clear()
            last = schedule
            for (const { window, runAt, tick } of planned.runs) {
              expect(window!.start.getTime()).toBe(end)
              expect(window!.end.getTime()).toBeGreaterThan(end)
              end = window!.end.getTime()
              expect(runAt!.getTime()).toBeGreaterThanOrEqual(end)
              expect(runAt!.getTime()).toBeLessThanOrEqual(now)
              if (!tick) continue
              expect(tick).toEqual(runAt)
              expect(ticks.has(tick.getTime())).toBe(false)
              ticks.add(tick.getTime())
            }
          }
          const gridTicks = Schedule.of(policy.grid!)
          if (end > start.getTime()) expect(gridTicks.previous(new Date(end + 1))).toEqual(new Date(end))
        },
      ),
      { numRuns: 150 },
    )
  })
})
