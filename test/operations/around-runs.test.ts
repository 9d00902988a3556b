import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { storeOn } from '../../src/store/store.ts'
import { untilAborted } from '../../src/signals/until-aborted.ts'
import { eventually, Gate, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const MANY = { mysql: 21_000, sqlite: 6_000 } as const
const HOUR_MS = 3_600_000

describeEachStore((fixture) => {
  const windows = { start: '2026-01-01', end: '2026-01-03', catchUp: 'all' } as const
  const source = defineJob({ id: 'source', cron: '0 0 * * *', windows }, () => {})
  const bad = defineJob({ id: 'bad', cron: '0 0 * * *', windows, dependsOn: ['source'] }, () => {
    throw new Error('no')
  })
  const report = defineJob({ id: 'report', cron: '0 0 * * *', windows, dependsOn: ['bad'] }, () => {})
  const endless = defineJob({ id: 'endless', concurrency: 3, timeout: '5m' }, (ctx) =>
    untilAborted(new Promise<never>(() => {}), ctx.signal),
  )

  it('a timeline has the runs of its range, also those that began before it, and says if it is only a part', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, [source, endless])
    const open = await app.run('endless')
    await eventually(async () => {
      expect((await app.windows.summary('source')).counts.succeeded).toBe(2)
      expect((await app.runs.show(open.id)).state).toBe('running')
    })
    const now = Date.now()
    const lastHour = { from: new Date(now - HOUR_MS), to: new Date(now + HOUR_MS) }
    const { runs, isWhole } = await app.runs.timeline(lastHour)
    expect(isWhole).toBe(true)
    expect(runs.map(({ jobId }) => jobId).sort()).toEqual(['endless', 'source', 'source'])
    expect(runs.find(({ id }) => id === open.id)).toMatchObject({ state: 'running', attempt: 1 })
    expect(runs[0]).not.toHaveProperty('input')
    expect((await app.runs.timeline({ ...lastHour, jobId: 'source' })).runs).toHaveLength(2)
    // The run that has not ended reaches into a later range; the ended ones do not.
    const later = await app.runs.timeline({ from: new Date(now + HOUR_MS), to: new Date(now + 2 * HOUR_MS) })
    expect(later.runs.map(({ jobId }) => jobId)).toEqual(['endless'])
    expect((await app.runs.timeline({ from: new Date(now - 3 * HOUR_MS), to: new Date(now - HOUR_MS) })).runs).toEqual(
      [],
    )

    const future = new Date(now + HOUR_MS / 2)
    const many = Array.from(
      { length: MANY[database.dialect.name] },
      () => ({ jobId: 'endless', kind: 'manual', priority: 0, runAt: future }) as const,
    )
    await storeOn(database).runs.enqueue(many)
    const part = await app.runs.timeline({ ...lastHour, limit: 500 })
    expect(part.isWhole).toBe(false)
    expect(part.runs.length).toBeGreaterThan(450)
    expect(part.runs.length).toBeLessThanOrEqual(500)
    // A part is spread over the whole range, and keeps what runs now.
    const ids = part.runs.map(({ id }) => id)
    expect(Math.max(...ids) - Math.min(...ids)).toBeGreaterThan(many.length * 0.9)
    expect(ids).toContain(open.id)
    expect(await app.jobs.limits('endless')).toMatchObject({
      ...{ running: 1, queued: Math.min(many.length, 10_000) },
      declared: { concurrency: 3, timeoutMs: 300_000, attempts: 1 },
      pools: [],
    })
    await app.runs.cancel(open.id)
    await eventually(async () => expect((await app.runs.show(open.id)).state).toBe('cancelled'))
    const wrong = await rejected(app.runs.timeline({ from: lastHour.to, to: lastHour.from }))
    expect(wrong).toMatchObject({ code: 'USAGE' })
    expect(wrong.message).toContain('ends after it begins')
  })

  it('the use of a rate and of a pool is told, and a run that waited for the pool began later', async () => {
    await fixture.open()
    await fixture.empty()
    const gate = new Gate()
    const desk = defineResource({
      name: 'desk',
      size: 1,
      acquire: async function* () {
        yield await Promise.resolve('desk')
      },
    })
    const call = defineJob({ id: 'call', rate: '5/h', resources: { desk } }, () => gate.pass())
    const app = await startApp(fixture.options, [call])
    const ids = [await app.enqueue('call'), await app.enqueue('call')]
    await eventually(async () =>
      expect(await app.jobs.limits('call')).toMatchObject({
        rateUse: { taken: 2, key: undefined },
        pools: [{ name: 'desk', borrowed: 1, waiting: 1, size: 1 }],
      }),
    )
    gate.open()
    await eventually(async () => expect(await app.runs.list({ jobId: 'call', state: 'succeeded' })).toHaveLength(2))
    const now = Date.now()
    const { runs } = await app.runs.timeline({ from: new Date(now - HOUR_MS), to: new Date(now + HOUR_MS) })
    expect(runs.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
    const [second] = runs
    expect(second?.beganAt?.getTime()).toBeGreaterThan(second?.startedAt?.getTime() ?? Infinity)
    expect(second?.beganAt?.getTime()).toBeLessThanOrEqual(second?.finishedAt?.getTime() ?? 0)
  })

  it('the jobs around a job are shown with their newest windows, the nearest first', async () => {
    await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, [source, bad, report, endless])
    await eventually(async () => {
      const { jobs } = await app.jobs.dependencies('bad')
      expect(jobs).toMatchObject([
        { id: 'bad', hasFailed: true, latest: { state: 'failed' } },
        { id: 'source', state: 'active', hasFailed: false, latest: { state: 'succeeded' } },
        { id: 'report', latest: { state: 'waiting', waitsFor: { jobId: 'bad' } } },
      ])
    })
    const { edges, isWhole } = await app.jobs.dependencies('bad')
    expect(isWhole).toBe(true)
    expect(edges).toEqual([
      { from: 'source', to: 'bad' },
      { from: 'bad', to: 'report' },
    ])
    expect((await app.jobs.dependencies('endless')).edges).toEqual([])
    const nobody = 'nobody' as 'bad'
    expect(await rejected(app.jobs.dependencies(nobody))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(await rejected(app.jobs.limits(nobody))).toMatchObject({ code: 'JOB_UNKNOWN' })
  })

  it('a schedule is previewed for a job before it is set', async () => {
    await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, source)
    const schedule = { kind: 'cron', cron: '30 2 * * *', timezone: 'Europe/Berlin' } as const
    const { ticks } = await app.schedules.preview('source', { schedule, from: '2026-03-28', count: 3 })
    expect(ticks.map(({ local, transition }) => [local, transition])).toEqual([
      ['2026-03-28T02:30:00', null],
      ['2026-03-29T03:00:00', 'gap'],
      ['2026-03-30T02:30:00', null],
    ])
    const wrong = app.schedules.preview('source', { schedule: { ...schedule, cron: '61 * * * *' } })
    expect(await rejected(wrong)).toMatchObject({ code: 'SCHEDULE_INVALID' })
    expect((await app.schedules.list())[0]?.isOverridden).toBe(false)

    const idsOf = async (filter?: Parameters<typeof app.schedules.list>[0]): Promise<string[]> =>
      (await app.schedules.list(filter)).map(({ jobId }) => jobId)
    const all = await idsOf()
    await app.schedules.set('source', schedule)
    // A job without any schedule is in one of both lists too.
    expect(await idsOf({ isOverridden: true })).toEqual(['source'])
    expect(await idsOf({ isOverridden: false })).toEqual(all.filter((id) => id !== 'source'))
    expect([...(await idsOf({ limit: 1 })), ...(await idsOf({ after: all[0] ?? '' }))]).toEqual(all)
    expect(await idsOf({ jobIds: ['source', 'none'] })).toEqual(['source'])
  })
})
