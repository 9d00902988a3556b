import { describe, expect, it } from 'vitest'
import { planJob, registrationOf } from '../../../src/engine/planning/plan-job.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { AnyJobSpec } from '../../../src/job/spec.ts'
import type { DueJob } from '../../../src/store/jobs/plan.ts'

const NOW = new Date('2026-03-10T12:00:00Z')
const t = (text: string): Date => new Date(text)
const seconds = (count: number): Date => new Date(NOW.getTime() + count * 1_000)

function job(spec: Partial<AnyJobSpec>) {
  return defineJob({ id: 'a', ...spec }, () => undefined)
}

function due(options: Partial<DueJob> = {}): DueJob {
  return { id: 'a', nextTick: NOW, windowCursor: undefined, pending: 0, active: 0, ...options }
}

describe('a job without windows', () => {
  it('begins at the next tick after its registration', () => {
    expect(registrationOf(job({ cron: '0 * * * *' }), NOW).begin.nextTick).toEqual(t('2026-03-10T13:00:00Z'))
    expect(registrationOf(job({}), NOW)).toMatchObject({ schedule: null, begin: { nextTick: undefined } })
  })

  it('keeps the phase of a fixed rate when processes restart', () => {
    const spec = job({ every: '7s' })
    const first = registrationOf(spec, NOW).begin.nextTick as Date
    const later = registrationOf(spec, seconds(3)).begin.nextTick as Date
    expect((later.getTime() - first.getTime()) % 7_000).toBe(0)
  })

  it('plans the ticks up to the horizon, each with a start at its instant', () => {
    const plan = planJob(job({ every: '1s', priority: 4 }), due(), NOW, seconds(2))
    expect(plan.runs).toEqual(
      [0, 1, 2].map((n) => ({
        jobId: 'a',
        kind: 'scheduled',
        priority: 4,
        runAt: seconds(n),
        tick: seconds(n),
        skipped: undefined,
      })),
    )
    expect(plan).toMatchObject({ nextTick: seconds(3), planAt: seconds(3) })
  })

  it('records a tick beyond the grace time as skipped, and runs one within it', () => {
    const plan = planJob(job({ every: '1m', misfireGraceTime: '90s' }), due({ nextTick: seconds(-180) }), NOW, NOW)
    expect(plan.runs.map((run) => [run.tick, run.skipped])).toEqual([
      [seconds(-180), 'misfire'],
      [seconds(-120), 'misfire'],
      [seconds(-60), undefined],
      [seconds(0), undefined],
    ])
  })

  it.each([
    ['skip', {}, ['misfire', 'misfire', 'misfire', undefined, undefined]],
    ['once', {}, ['misfire', 'misfire', undefined, undefined, undefined]],
    ['all', { misfireLimit: 2 }, ['misfire', undefined, undefined, undefined, undefined]],
    ['all', {}, [undefined, undefined, undefined, undefined, undefined]],
  ] as const)('misfire %s %j: the last ticks beyond the grace time run', (misfire, options, skipped) => {
    const spec = job({ every: '1m', misfireGraceTime: '90s', misfire, ...options })
    const plan = planJob(spec, due({ nextTick: seconds(-240) }), NOW, NOW)
    expect(plan.runs.map((run) => run.skipped)).toEqual(skipped)
  })

  it('fires once at its instant', () => {
    const once = job({ at: '2026-03-10T12:00:00Z' })
    expect(registrationOf(once, seconds(60)).begin.nextTick).toEqual(NOW)
    expect(planJob(once, due(), NOW, NOW)).toMatchObject({
      runs: [{ tick: NOW }],
      nextTick: undefined,
      planAt: undefined,
    })
  })

  it('skips ticks while an earlier run is active, if overlap says so, and decides at the tick', () => {
    const spec = job({ every: '1s', overlap: 'skip' })
    expect(planJob(spec, due({ active: 1 }), NOW, seconds(2)).runs).toMatchObject([{ tick: NOW, skipped: 'overlap' }])
    const two = planJob(spec, due({ nextTick: seconds(-1) }), NOW, seconds(2))
    expect(two.runs.map((run) => run.skipped)).toEqual([undefined, 'overlap'])
    expect(two.planAt).toEqual(seconds(1))
    expect(planJob(job({ every: '1s' }), due({ active: 1 }), NOW, NOW).runs).toMatchObject([{ skipped: undefined }])
  })

  it('plans a long backlog in steps', () => {
    const plan = planJob(job({ every: '1s' }), due({ nextTick: seconds(-100_000) }), NOW, NOW)
    expect(plan.runs).toHaveLength(500)
    expect(plan.planAt).toEqual(seconds(-100_000 + 500))
  })
})

describe('a job with windows', () => {
  const daily = (windows: object) => job({ cron: '0 0 * * *', windows: { start: '2026-03-01T00:00:00Z', ...windows } })

  it('plans each complete window since the start, and no unfinished one', () => {
    const spec = daily({})
    const begin = registrationOf(spec, NOW).begin
    expect(begin).toEqual({ nextTick: t('2026-03-02T00:00:00Z'), windowCursor: t('2026-03-01T00:00:00Z') })
    const plan = planJob(spec, due({ windowCursor: begin.windowCursor }), NOW, NOW)
    expect(plan.runs).toHaveLength(9)
    expect(plan.runs[0]).toMatchObject({
      tick: t('2026-03-02T00:00:00Z'),
      window: { start: t('2026-03-01T00:00:00Z'), end: t('2026-03-02T00:00:00Z') },
    })
    expect(plan).toMatchObject({
      windowCursor: t('2026-03-10T00:00:00Z'),
      nextTick: t('2026-03-11T00:00:00Z'),
      planAt: t('2026-03-11T00:00:00Z'),
    })
  })

  it('stops at the end of the windows', () => {
    const plan = planJob(
      daily({ end: '2026-03-03T12:00:00Z' }),
      due({ windowCursor: t('2026-03-02T00:00:00Z') }),
      NOW,
      NOW,
    )
    expect(plan.runs.map((run) => run.window)).toEqual([
      { start: t('2026-03-02T00:00:00Z'), end: t('2026-03-03T00:00:00Z') },
      { start: t('2026-03-03T00:00:00Z'), end: t('2026-03-03T12:00:00Z') },
    ])
    expect(plan).toMatchObject({ nextTick: undefined, planAt: undefined })
  })

  it('runs only the latest missed window and records the others as skipped', () => {
    const spec = daily({ catchUp: 'latest' })
    expect(registrationOf(spec, NOW).begin.windowCursor).toEqual(t('2026-03-09T00:00:00Z'))
    const plan = planJob(spec, due({ windowCursor: t('2026-03-06T00:00:00Z') }), NOW, NOW)
    expect(plan.skippedWindows.map((window) => window.start)).toEqual(
      [6, 7, 8].map((day) => t(`2026-03-0${day}T00:00:00Z`)),
    )
    expect(plan.runs).toMatchObject([{ window: { start: t('2026-03-09T00:00:00Z') } }])
  })

  it('runs no missed window with catch-up off, but one that has just ended', () => {
    const spec = daily({ catchUp: 'none' })
    expect(registrationOf(spec, NOW).begin.windowCursor).toEqual(t('2026-03-10T00:00:00Z'))
    const late = planJob(spec, due({ windowCursor: t('2026-03-09T00:00:00Z') }), NOW, NOW)
    expect([late.runs, late.skippedWindows]).toMatchObject([[], [{ end: t('2026-03-10T00:00:00Z') }]])
    const justEnded = t('2026-03-10T00:00:20Z')
    expect(planJob(spec, due({ windowCursor: t('2026-03-09T00:00:00Z') }), justEnded, justEnded).runs).toHaveLength(1)
  })

  it('keeps a bounded number of windows in the queue and plans the rest later', () => {
    const plan = planJob(
      job({ every: '1m', windows: { start: '2026-03-01T00:00:00Z' } }),
      due({ windowCursor: t('2026-03-01T00:00:00Z'), pending: 990 }),
      NOW,
      NOW,
    )
    expect(plan.runs).toHaveLength(10)
    expect(plan.planAt?.getTime()).toBeGreaterThan(NOW.getTime())
    expect(plan.windowCursor).toEqual(t('2026-03-01T00:10:00Z'))
  })

  it('leaves no gap and no overlap over many passes', () => {
    const spec = job({ cron: '30 2 * * *', timezone: 'Europe/Berlin', windows: { start: '2025-10-01T00:00:00Z' } })
    let cursor = registrationOf(spec, NOW).begin.windowCursor
    let expected = t('2025-10-01T00:00:00Z')
    for (let pass = 0; pass < 40; pass++) {
      const until = new Date(t('2025-10-01T00:00:00Z').getTime() + pass * 5 * 86_400_000)
      const plan = planJob(spec, due({ windowCursor: cursor }), until, until)
      for (const run of plan.runs) {
        expect(run.window?.start).toEqual(expected)
        expected = run.window?.end as Date
      }
      cursor = plan.windowCursor
    }
    expect(expected.getTime()).toBeGreaterThan(t('2026-04-01T00:00:00Z').getTime())
  })

  it('continues from a start that was moved past the cursor', () => {
    const plan = planJob(
      daily({ start: '2026-03-08T00:00:00Z' }),
      due({ windowCursor: t('2026-03-03T00:00:00Z') }),
      NOW,
      NOW,
    )
    expect(plan.runs.map((run) => run.window?.start)).toEqual([t('2026-03-08T00:00:00Z'), t('2026-03-09T00:00:00Z')])
    expect(plan.planAt).toEqual(t('2026-03-11T00:00:00Z'))
  })

  it('continues after the schedule of a job with a calendar function has changed', () => {
    const windows = { start: '2026-03-01T00:00:00Z' } as const
    const isOdd = (_: Date, { date }: { date: string }) => Number(date.slice(-2)) % 2 === 1
    const before = registrationOf(job({ cron: '0 0 * * *', exclude: isOdd, windows }), NOW)
    expect(before.schedule).toMatch(/\(function\)/)
    const generations = [
      { start: t('2026-03-01T00:00:00Z'), schedule: before.schedule as string },
      {
        start: t('2026-03-06T00:00:00Z'),
        schedule: JSON.stringify({ kind: 'cron', cron: '0 0 * * *', timezone: 'UTC' }),
      },
    ]
    const windowsOf = (exclude: object) =>
      planJob(
        job({ cron: '0 0 * * *', windows, ...exclude }),
        due({ windowCursor: t('2026-03-02T00:00:00Z'), generations }),
        NOW,
        t('2026-03-07T00:00:00Z'),
      ).runs.map(({ window }) => window?.end.getUTCDate())
    expect(windowsOf({ exclude: isOdd })).toEqual([4, 6, 7])
    // The code no longer has a function, so the mark in the stored schedule has no effect.
    expect(windowsOf({})).toEqual([3, 4, 5, 6, 7])
  })
})
