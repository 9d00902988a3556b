import { beforeEach, describe, expect, it } from 'vitest'
import type { Claim } from '../../../src/run/run.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import type { Window } from '../../../src/time/window.ts'
import { describeEachStoreAndOldServer } from '../../support/databases.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'
import type { DueJob, PlanDecision } from '../../../src/store/jobs/plan.ts'
import type { JobRegistration } from '../../../src/store/jobs/job-row.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const DAY = 86_400_000

function registration(id: string, options: Partial<JobRegistration> = {}): JobRegistration {
  return {
    id,
    description: undefined,
    schedule: '{"kind":"cron"}',
    windows: null,
    begin: { nextTick: new Date(0), windowCursor: undefined },
    ...options,
  }
}

function keep(due: DueJob, options: Partial<PlanDecision> = {}): PlanDecision {
  return {
    jobId: due.id,
    runs: [],
    skippedWindows: [],
    waitingWindows: [],
    nextTick: due.nextTick,
    planAt: due.nextTick,
    windowCursor: due.windowCursor,
    ...options,
  }
}

describeEachStoreAndOldServer((fixture) => {
  let store: Store
  let now: number
  const at = (ms: number): Date => new Date(now + ms)
  const day = (index: number): Window => ({ start: at(index * DAY), end: at((index + 1) * DAY) })

  /** Plans the days 0 … count − 1 of job `a`, one run each. */
  const planDays = async (count: number): Promise<void> => {
    await store.jobs.register([registration('a', { windows: '{}', begin: { nextTick: at(0), windowCursor: at(0) } })])
    await store.plans.plan(at(0), 10, (jobs) =>
      jobs.map((due) =>
        keep(due, {
          runs: Array.from({ length: count }, (_, index) => ({
            jobId: 'a',
            kind: 'scheduled',
            priority: 0,
            runAt: at(0),
            tick: day(index).end,
            window: day(index),
          })),
          windowCursor: day(count - 1).end,
          planAt: undefined,
        }),
      ),
    )
  }

  const claim = async (limit: number): Promise<readonly Claim[]> =>
    (await store.runs.claim({ nodeId: NODE, limit, limits: new Map() })).claims

  beforeEach(async () => {
    now = Date.parse('2026-03-01T00:00:00.000Z')
    store ??= storeOn(await fixture.open({ clock: { now: () => now } }))
    await fixture.empty()
  })

  describe('registration', () => {
    it('keeps the cursors and the pause of an unchanged job', async () => {
      await store.jobs.register([registration('a', { begin: { nextTick: at(5), windowCursor: undefined } })])
      await store.database.db.updateTable('piko_job').set({ is_paused: 1 }).execute()
      await store.jobs.register([
        registration('a', { begin: { nextTick: at(99), windowCursor: undefined }, description: 'new words' }),
      ])
      expect(await store.jobs.find('a')).toMatchObject({ nextTick: at(5), isPaused: true, description: 'new words' })
    })

    it('moves the next tick of a changed schedule, and windows continue where they ended', async () => {
      await store.jobs.register([
        registration('a', { windows: '{}', begin: { nextTick: at(DAY), windowCursor: at(0) } }),
      ])
      await store.jobs.register([
        registration('a', {
          windows: '{}',
          schedule: '{"kind":"every"}',
          begin: { nextTick: at(7), windowCursor: at(-9) },
        }),
      ])
      expect(await store.jobs.find('a')).toMatchObject({ nextTick: at(7), planAt: at(0), windowCursor: at(0) })
    })

    it('accepts thousands of jobs', async () => {
      const jobs = Array.from({ length: 5_000 }, (_, index) => registration(`job-${index}`))
      await store.jobs.register(jobs)
      await store.jobs.register(jobs)
      expect(await store.jobs.list()).toHaveLength(5_000)
    })

    it('survives many nodes that register the same jobs at the same moment', async () => {
      const jobs = Array.from({ length: 20 }, (_, index) => registration(`job-${index}`))
      await Promise.all(Array.from({ length: 6 }, () => store.jobs.register(jobs)))
      expect(await store.jobs.list()).toHaveLength(20)
    })
  })

  describe('planning', () => {
    it('passes on due jobs that are not paused, and writes runs and cursor together', async () => {
      await store.jobs.register([
        registration('due', { begin: { nextTick: at(0), windowCursor: undefined } }),
        registration('later', { begin: { nextTick: at(1), windowCursor: undefined } }),
        registration('never', { begin: { nextTick: undefined, windowCursor: undefined } }),
        registration('paused', { begin: { nextTick: at(0), windowCursor: undefined } }),
      ])
      await store.database.db.updateTable('piko_job').set({ is_paused: 1 }).where('id', '=', 'paused').execute()
      const seen: string[] = []
      const { due: count } = await store.plans.plan(at(0), 10, (jobs) =>
        jobs.map((due) => {
          seen.push(due.id)
          return keep(due, {
            runs: [{ jobId: due.id, kind: 'scheduled', priority: 3, runAt: due.nextTick, tick: due.nextTick }],
            nextTick: at(60),
            planAt: at(60),
          })
        }),
      )
      expect([count, seen]).toEqual([1, ['due']])
      expect(await store.jobs.find('due')).toMatchObject({ nextTick: at(60), planAt: at(60) })
      expect(await store.runs.list()).toMatchObject([
        { jobId: 'due', tick: at(0), priority: 3, state: 'queued', kind: 'scheduled' },
      ])
    })

    const makeDue = (): Promise<unknown> =>
      store.database.db
        .updateTable('piko_job')
        .set({ plan_at: store.database.dialect.instant(at(0)) })
        .execute()

    const windowRun = (index: number): NewRun => ({
      jobId: 'a',
      kind: 'scheduled',
      priority: 0,
      runAt: at(0),
      tick: day(index).end,
      window: day(index),
    })

    it('writes nothing when a part of it fails', async () => {
      await planDays(2)
      await makeDue()
      const again = await store.plans.plan(at(0), 10, (jobs) =>
        jobs.map((due) =>
          keep(due, { runs: [windowRun(2), { ...windowRun(3), input: 1n }], windowCursor: day(3).end }),
        ),
      )
      expect(again).toMatchObject({ due: 1, written: [], refused: [{ jobId: 'a', refusal: { code: 'USAGE' } }] })
      expect(await store.runs.count('a')).toMatchObject({ queued: 2 })
      expect(await store.windows.list('a')).toHaveLength(2)
      expect(await store.jobs.find('a')).toMatchObject({ windowCursor: day(1).end })
    })

    it('skips what was planned before when a cursor was set back', async () => {
      await planDays(3)
      const [first] = await claim(1)
      await store.runs.finish(NODE, [{ claim: first as Claim, transition: { to: 'succeeded' } }])
      await makeDue()
      const { due, written } = await store.plans.plan(at(0), 10, (jobs) =>
        jobs.map((job) =>
          keep(job, {
            runs: [1, 2, 3].map(windowRun),
            skippedWindows: [day(0), day(4)],
            windowCursor: day(4).end,
            planAt: undefined,
          }),
        ),
      )
      expect([due, written]).toMatchObject([1, [{ runs: [{ window: day(3) }], skippedWindows: [day(4)] }]])
      expect((await store.windows.list('a')).map((window) => window.state)).toEqual([
        'succeeded',
        'queued',
        'queued',
        'queued',
        'skipped',
      ])
      expect(await store.jobs.find('a')).toMatchObject({ windowCursor: day(4).end, planAt: undefined })
    })

    it('plans the other jobs when one plans a tick a second time', async () => {
      const begin = { nextTick: at(0), windowCursor: undefined }
      await store.jobs.register(['a', 'b', 'c'].map((id) => registration(id, { begin })))
      await store.runs.enqueue([{ jobId: 'b', kind: 'scheduled', priority: 0, tick: at(0) }])
      const { written } = await store.plans.plan(at(0), 10, (jobs) =>
        jobs.map((due) =>
          keep(due, {
            runs: [0, 60].map((ms) => ({ jobId: due.id, kind: 'scheduled', priority: 0, tick: at(ms) })),
            planAt: at(120),
          }),
        ),
      )
      expect(new Map(written.map(({ jobId, runs }) => [jobId, runs.length]))).toEqual(
        new Map([
          ['a', 2],
          ['b', 1],
          ['c', 2],
        ]),
      )
      for (const id of ['a', 'b', 'c']) {
        const runs = await store.runs.list({ jobId: id })
        expect(runs.map((run) => run.tick?.getTime()).sort()).toEqual([at(0).getTime(), at(60).getTime()])
        expect(await store.jobs.find(id)).toMatchObject({ planAt: at(120) })
      }
    })

    it('plans the windows of a job whose ticks fired before it had windows', async () => {
      await store.jobs.register([registration('a', { begin: { nextTick: at(0), windowCursor: at(0) } })])
      await store.runs.enqueue([{ jobId: 'a', kind: 'scheduled', priority: 0, tick: day(0).end }])
      await store.plans.plan(at(0), 10, (jobs) =>
        jobs.map((due) => keep(due, { runs: [0, 1].map(windowRun), windowCursor: day(1).end, planAt: undefined })),
      )
      const runs = await store.runs.list({ jobId: 'a' })
      expect(runs.flatMap((run) => (run.window ? [[run.window, run.tick, run.runAt]] : []))).toEqual([
        [day(1), day(1).end, at(0)],
        [day(0), undefined, at(0)],
      ])
      expect(await store.windows.summary('a')).toMatchObject({ counts: { pending: 2 } })
    })

    it('plans a job from its cursor, and does not plan one with neither tick nor cursor', async () => {
      await store.jobs.register([
        registration('cursor', { windows: '{}', begin: { nextTick: at(0), windowCursor: at(0) } }),
        registration('nothing', { begin: { nextTick: at(0), windowCursor: undefined } }),
      ])
      await store.database.db.updateTable('piko_job').set({ next_tick: null }).execute()
      const seen: DueJob[] = []
      await store.plans.plan(at(0), 10, (jobs) => {
        seen.push(...jobs)
        return jobs.map((due) => keep(due))
      })
      const ticks = new Map(seen.map((due) => [due.id, due.nextTick]))
      expect(ticks).toEqual(
        new Map([
          ['cursor', at(0)],
          ['nothing', undefined],
        ]),
      )
      expect(await store.jobs.find('nothing')).toMatchObject({ planAt: undefined })
    })

    it('lets two planners at the same moment plan each tick once', async () => {
      await store.jobs.register(
        Array.from({ length: 30 }, (_, index) =>
          registration(`job-${index}`, { begin: { nextTick: at(0), windowCursor: undefined } }),
        ),
      )
      const plan = () =>
        store.plans.plan(at(0), 100, (jobs) =>
          jobs.map((due) =>
            keep(due, {
              runs: [{ jobId: due.id, kind: 'scheduled', priority: 0, tick: due.nextTick }],
              nextTick: at(60),
              planAt: at(60),
            }),
          ),
        )
      await Promise.all([plan(), plan(), plan()])
      await plan()
      expect(await store.runs.count()).toMatchObject({ queued: 30 })
    })

    it('reports how many windows wait and whether a run is active', async () => {
      await planDays(3)
      const [first] = await claim(1)
      await store.runs.finish(NODE, [{ claim: first as Claim, transition: { to: 'succeeded' } }])
      await store.database.db
        .updateTable('piko_job')
        .set({ plan_at: store.database.dialect.instant(at(0)) })
        .execute()
      let due: readonly DueJob[] = []
      await store.plans.plan(at(0), 10, (jobs) => {
        due = jobs
        return []
      })
      expect(due).toMatchObject([{ id: 'a', pending: 2, active: 2, windowCursor: day(2).end }])
    })
  })

  describe('the ledger', () => {
    it('moves the watermark only over the unbroken succeeded prefix', async () => {
      await planDays(4)
      expect(await store.windows.summary('a')).toMatchObject({ start: at(0), watermark: at(0), end: day(3).end })
      const claims = [...(await claim(4))].sort((a, b) => a.runId - b.runId)
      const settle = (index: number, to: 'succeeded' | 'failed') =>
        store.runs.finish(NODE, [
          {
            claim: claims[index] as Claim,
            transition: to === 'failed' ? { to, error: { name: 'Error', message: 'no data' } } : { to },
          },
        ])
      await settle(0, 'succeeded')
      await settle(1, 'failed')
      await settle(2, 'succeeded')
      await settle(3, 'succeeded')
      const summary = await store.windows.summary('a')
      expect(summary).toMatchObject({ watermark: day(0).end, counts: { succeeded: 3, failed: 1, pending: 0 } })
      expect(await store.windows.list('a', { state: 'failed' })).toMatchObject([
        { ...day(1), state: 'failed', error: 'no data', runId: claims[1]?.runId },
      ])
    })

    it('shows whether the run of a pending window is queued or running', async () => {
      await planDays(2)
      await claim(1)
      expect((await store.windows.list('a')).map((window) => window.state)).toEqual(['running', 'queued'])
    })

    it('leaves a hole for a window that runs again until the new run succeeds; the old run can’t settle it', async () => {
      await planDays(2)
      const claims = await claim(2)
      await expect(
        store.windows.enqueue({ jobId: 'a', kind: 'manual', priority: 0, window: day(0) }),
      ).rejects.toMatchObject({ code: 'WINDOW_BUSY' })
      await store.runs.finish(
        NODE,
        claims.map((one) => ({ claim: one, transition: { to: 'succeeded' } })),
      )
      expect(await store.windows.summary('a')).toMatchObject({ watermark: day(1).end })
      const runId = await store.windows.enqueue({ jobId: 'a', kind: 'manual', priority: 0, window: day(0) })
      expect(await store.windows.summary('a')).toMatchObject({ watermark: day(0).start, counts: { pending: 1 } })
      const [again] = await claim(1)
      expect(again).toMatchObject({ runId, window: day(0) })
      await store.runs.finish(NODE, [{ claim: again as Claim, transition: { to: 'succeeded' } }])
      expect(await store.windows.summary('a')).toMatchObject({ watermark: day(1).end })
    })

    it('queues one of several requests for the same window', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, () =>
          store.windows.enqueue({ jobId: 'a', kind: 'manual', priority: 0, window: day(0) }),
        ),
      )
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
      expect(await store.runs.count('a')).toMatchObject({ queued: 1 })
    })

    it('begins the unbroken prefix at the first planned window; an earlier one run by hand moves nothing', async () => {
      await planDays(2)
      const earlier = { start: at(-5 * DAY), end: at(-4 * DAY) }
      await store.windows.enqueue({ jobId: 'a', kind: 'manual', priority: 0, window: earlier })
      const claims = await claim(3)
      await store.runs.finish(
        NODE,
        claims.map((one) => ({ claim: one, transition: { to: 'succeeded' } })),
      )
      expect(await store.windows.summary('a')).toMatchObject({
        start: at(0),
        watermark: day(1).end,
        counts: { succeeded: 3 },
      })
    })

    it('returns to an earlier start from which its windows continue, with no watermark beyond newly planned windows', async () => {
      await planDays(2)
      const claims = await claim(2)
      await store.runs.finish(
        NODE,
        claims.map((one) => ({ claim: one, transition: { to: 'succeeded' } })),
      )
      const moved = (isBoundary: boolean): JobRegistration =>
        registration('a', {
          windows: `{"moved":${isBoundary}}`,
          begin: { nextTick: at(-2 * DAY), windowCursor: at(-3 * DAY) },
          isBoundary: () => isBoundary,
        })
      await store.jobs.register([moved(false)])
      expect(await store.windows.summary('a')).toMatchObject({ start: at(0), watermark: day(1).end })
      await store.jobs.register([moved(true)])
      expect(await store.windows.summary('a')).toMatchObject({ start: at(-3 * DAY), watermark: at(-3 * DAY) })
    })

    it('records skipped windows, which are holes', async () => {
      await store.jobs.register([registration('a', { windows: '{}', begin: { nextTick: at(0), windowCursor: at(0) } })])
      await store.plans.plan(at(0), 10, (jobs) =>
        jobs.map((due) => keep(due, { skippedWindows: [day(0), day(1)], windowCursor: day(1).end })),
      )
      expect(await store.windows.summary('a')).toMatchObject({
        counts: { skipped: 2 },
        watermark: at(0),
        end: day(1).end,
      })
    })
  })
})
