import { expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

// Guarantees that concern several parts of the engine together.
describeEachStore((fixture) => {
  let database: Database

  const nodes = async (count: number, ...jobs: ReturnType<typeof defineJob>[]): Promise<Piko[]> => {
    database = await fixture.open()
    await fixture.empty()
    const apps: Piko[] = []
    for (let index = 0; index < count; index++) apps.push(await startApp(fixture.options, jobs))
    return apps
  }

  it('ticks that were due while no node ran each run, with their own time', async () => {
    const times: Date[] = []
    const job = defineJob(
      { id: 'tick', every: '1m', misfireGraceTime: '1h' },
      (ctx) => void times.push(ctx.scheduledTime),
    )
    const [first] = (await nodes(1, job)) as [Piko]
    await first.stop()
    const { db, dialect } = database
    const now = Math.floor(Date.now() / 60_000) * 60_000
    const at = dialect.instant(new Date(now - 4 * 60_000))
    await db.updateTable('piko_job').set({ next_tick: at, plan_at: at }).execute()
    await startApp(fixture.options, job)
    await eventually(() => {
      const minutes = times.map((time) => (time.getTime() - now) / 60_000).sort((a, b) => a - b)
      // A later minute may follow.
      expect(minutes.slice(0, 5)).toEqual([-4, -3, -2, -1, 0])
    })
    expect(new Set(times.map(Number)).size).toBe(times.length)
  })

  it('a job with one instant fires once, even when its run fails', async () => {
    let calls = 0
    const job = defineJob({ id: 'once', at: new Date(Date.now() + 200) }, () => {
      calls += 1
      throw new Error('no')
    })
    const [app] = (await nodes(1, job)) as [Piko]
    const settled = recordEvents(app, 'run.settled')
    await eventually(() => expect(settled.length).toBe(1))
    await app.stop()
    // A node that starts again must not fire it either.
    const again = await startApp(fixture.options, job)
    await again.run('once').catch(() => {})
    await eventually(async () => expect((await again.runs.list({ state: 'failed' })).length).toBe(2))
    expect(await again.runs.list({ jobId: 'once' })).toHaveLength(2)
    expect(calls).toBe(2)
  })

  it('an error with a name and words of any length ends the run', async () => {
    const job = defineJob({ id: 'wordy' }, () => {
      throw Object.assign(new Error('m'.repeat(200_000)), { name: 'N'.repeat(5_000), code: 'C'.repeat(5_000) })
    })
    const [app] = (await nodes(1, job)) as [Piko]
    await app.run('wordy', { wait: true }).catch(() => {})
    const [run] = await app.runs.list()
    expect(run).toMatchObject({ state: 'failed' })
    expect(run?.error?.name.length).toBeLessThanOrEqual(200)
  })

  it('a fixed rate keeps its phase whenever a process starts', async () => {
    const job = defineJob({ id: 'tick', every: '200ms' }, () => {})
    const [first] = (await nodes(1, job)) as [Piko]
    await eventually(async () => expect((await first.runs.list()).length).toBeGreaterThan(1))
    await first.stop()
    const second = await startApp(fixture.options, job)
    const before = (await second.runs.list()).length
    await eventually(async () => expect((await second.runs.list()).length).toBeGreaterThan(before + 1))
    expect((await second.runs.list()).every((run) => run.tick!.getTime() % 200 === 0)).toBe(true)
  })

  it('a catch-up of many windows runs all of them, and a window run by hand does not move the grid', async () => {
    const job = defineJob(
      {
        id: 'hourly',
        every: '1h',
        windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-11T00:00:00Z', parallel: 50 },
      },
      () => {},
    )
    const [app] = (await nodes(1, job)) as [Piko]
    await eventually(async () => expect((await app.windows.summary('hourly')).counts.succeeded).toBe(240))
    const before = await app.windows.summary('hourly')
    await app.run('hourly', { window: '2026-01-03T05:00:00Z', wait: true })
    expect(await app.windows.summary('hourly')).toEqual(before)
    expect((await rejected(app.run('hourly', { window: '2026-01-03T05:30:00Z' }))).code).toBe('WINDOW_UNKNOWN')
  })

  it('tiny runs and windows of two nodes that end together all end, and nothing is lost', async () => {
    const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-05T04:00:00Z', parallel: 100 } as const
    const jobs = [defineJob({ id: 'tiny' }, () => {}), defineJob({ id: 'hourly', every: '1h', windows }, () => {})]
    const [a, b] = (await nodes(2, ...jobs)) as [Piko, Piko]
    const failed = [recordEvents(a, 'loop.failed'), recordEvents(b, 'loop.failed')]
    const ids = await a.enqueueMany(
      'tiny',
      Array.from({ length: 400 }, (_, input) => ({ input })),
    )
    const runs = await Promise.all(ids.map((id, index) => (index % 2 ? a : b).waitFor(id)))
    expect(runs.every((run) => run.state === 'succeeded' && run.attempt === 1)).toBe(true)
    await eventually(async () => expect((await a.windows.summary('hourly')).watermark).toEqual(new Date(windows.end)))
    expect(failed).toEqual([[], []])
  })

  it('an end that could not be stored is stored when the store is back', async () => {
    let calls = 0
    const job = defineJob({ id: 'work' }, async () => {
      calls += 1
      await new Promise((resolve) => setTimeout(resolve, 100))
    })
    const [app] = (await nodes(1, job)) as [Piko]
    const run = await app.run('work')
    await eventually(() => expect(calls).toBe(1))
    const services = (await app.tree()).children
    services.find((service) => service.name === 'store')?.crash(new Error('injected'))
    await eventually(async () => expect(await app.runs.show(run.id)).toMatchObject({ state: 'succeeded', attempt: 1 }))
    expect(calls).toBe(1)
  })

  it('one idempotency key for two different requests is refused', async () => {
    const [app] = (await nodes(
      1,
      defineJob({ id: 'ship' }, () => {}),
    )) as [Piko]
    const id = await app.enqueue('ship', { input: { order: 7 }, idempotencyKey: 'order-7' })
    const error = await rejected(app.enqueue('ship', { input: { order: 8 }, idempotencyKey: 'order-7' }))
    expect([error.code, error.details]).toEqual(['IDEMPOTENCY_CONFLICT', { jobId: 'ship', key: 'order-7', runId: id }])
    expect(await app.enqueue('ship', { input: { order: 7 }, idempotencyKey: 'order-7' })).toBe(id)
    expect(await app.runs.list()).toHaveLength(1)
  })
})
