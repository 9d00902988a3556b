import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { jobActivities } from '../../src/store/jobs/job-overview.ts'
import { eventually, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { ScaleSql } from '../support/scale/scale-sql.ts'

const HOUR_MS = 3_600_000
const NONE = { count: 0, isExact: true }

describeEachStore((fixture) => {
  it('shows the last runs, the queue, the failures and the lag of each job', async () => {
    await fixture.open()
    await fixture.empty()
    const start = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 3 * HOUR_MS)
    // An hour that ends during the test must not add a window.
    const end = new Date(start.getTime() + 3 * HOUR_MS)
    const app = await startApp(fixture.options, [
      defineJob({ id: 'odd' }, ({ input }) => {
        if ((input as number) % 2 === 1) throw new Error('odd')
      }),
      defineJob({ id: 'hourly', cron: '0 * * * *', windows: { start, end } }, ({ window }) => {
        if (window?.start.getTime() === start.getTime() + HOUR_MS) throw new Error('the second one')
      }),
      defineJob({ id: 'never', cron: '0 0 1 1 *' }, () => {}),
    ])
    const ids: number[] = []
    for (let input = 0; input < 5; input++) ids.push((await app.run('odd', { input, wait: true }).catch(lastRun)).id)
    async function lastRun(): Promise<{ id: number }> {
      return (await app.runs.list({ jobId: 'odd', limit: 1 }))[0] as { id: number }
    }
    await app.run('odd', { input: 1, runAt: new Date(Date.now() + HOUR_MS) })
    await eventually(async () =>
      expect(await app.windows.summary('hourly')).toMatchObject({ counts: { succeeded: 2, failed: 1, pending: 0 } }),
    )
    const { jobs, next } = await app.jobs.overview({ runs: 3 })
    expect(next).toBeUndefined()
    expect(jobs.map(({ id }) => id)).toEqual(['hourly', 'never', 'odd'])
    const [hourly, never, odd] = jobs
    // The late job comes first, then the one with failures, although its id is the greatest.
    const idsOf = async (filter: Parameters<typeof app.jobs.overview>[0]): Promise<unknown> => {
      const page = await app.jobs.overview({ ...filter, order: 'attention' })
      return [page.jobs.map(({ id }) => id), page.next]
    }
    expect(await idsOf({})).toEqual([['hourly', 'odd', 'never'], undefined])
    expect(await idsOf({ limit: 2 })).toEqual([['hourly', 'odd'], 'odd'])
    expect(await idsOf({ after: 'odd' })).toEqual([['never'], undefined])
    expect(await idsOf({ search: 'o', hasWindows: false })).toEqual([['odd'], undefined])
    expect(await idsOf({ state: 'paused' })).toEqual([[], undefined])
    expect(odd).toMatchObject({
      queued: { count: 1, isExact: true },
      running: NONE,
      failed: { count: 2 },
      ledger: null,
    })
    expect(odd?.lastRuns.map(({ id, state }) => [id, state])).toEqual([
      [ids[4], 'succeeded'],
      [ids[3], 'failed'],
      [ids[2], 'succeeded'],
    ])
    expect(odd?.lastRuns[0]?.finishedAt?.getTime()).toBeGreaterThanOrEqual(odd?.lastRuns[0]?.startedAt?.getTime() ?? 0)
    const watermark = new Date(start.getTime() + HOUR_MS)
    expect(hourly).toMatchObject({ failed: { count: 1 }, ledger: { watermark, open: { count: 1, isExact: true } } })
    expect(hourly?.ledger?.lagMs).toBeGreaterThanOrEqual(2 * HOUR_MS)
    expect(hourly?.lastRuns).toHaveLength(3)
    expect(never).toMatchObject({ lastRuns: [], queued: NONE, failed: NONE, nextTick: expect.any(Date) as Date })
  })

  it('counts at most 1,000 of each, and forgets failures after a day', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, [defineJob({ id: 'busy' }, () => {})], { execute: false })
    const fill = (state: string, count: number): Promise<void> => {
      const at = new ScaleSql(database).at(Date.now(), '0')
      const times = { run_at: at, created_at: at, started_at: at, finished_at: at }
      return new ScaleSql(database).fill('piko_run', count, {
        ...{ job_id: `'busy'`, state: `'${state}'`, kind: `'manual'`, priority: '0', ...times },
      })
    }
    await app.sql.exec(
      `INSERT INTO piko_job (id, created_at, updated_at) VALUES ('busy', '2026-01-01 00:00:00', '2026-01-01 00:00:00'), ('idle', '2026-01-01 00:00:00', '2026-01-01 00:00:00')`,
    )
    await fill('failed', 1)
    await fill('succeeded', 5)
    await fill('failed', 1_000)
    await fill('queued', 1_001)
    await fill('cancelled', 2)
    const most = { count: 1_000, isExact: false }
    const of = async (filter: object): Promise<object | undefined> => (await app.jobs.overview(filter)).jobs[0]
    for (const filter of [{}, { ids: ['busy'] }])
      expect(await of(filter)).toMatchObject({ failed: most, queued: most, running: { count: 0, isExact: true } })
    const newest = [...Array.from({ length: 2 }, () => 'cancelled'), ...Array.from({ length: 18 }, () => 'failed')]
    expect(await of({})).toMatchObject({ lastRuns: newest.map((state) => ({ state })) })
    const ids = await app.sql.query<{ id: number }>(
      `SELECT id FROM piko_run WHERE state = 'failed' ORDER BY id LIMIT 6, 1`,
      [],
    )
    const old = new Date(Date.now() - 2 * 86_400_000).toISOString().replace('T', ' ').slice(0, 19)
    const before = await app.sql.query<{ at: string }>('SELECT created_at AS at FROM piko_run LIMIT 1', [])
    await app.sql.exec(`UPDATE piko_run SET created_at = '${old}' WHERE id < ${ids[0]?.id}`)
    expect(await of({})).toMatchObject({ failed: { count: 995, isExact: true } })
    expect(await of({})).toMatchObject({ failed: { count: 995, isExact: true } })
    await app.sql.query(`UPDATE piko_run SET created_at = ?`, [before[0]?.at ?? ''])
    expect(await of({})).toMatchObject({ failed: most })
  })

  it('lists the lag of late jobs behind the first 500 ids', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, [], { execute: false })
    const at = new ScaleSql(database).at(0, '0')
    const job = { windows: `'{}'`, created_at: at, updated_at: at }
    await new ScaleSql(database).fill('piko_job', 502, { id: new ScaleSql(database).named('job-', 'i'), ...job })
    await new ScaleSql(database).fill('piko_window', 1, {
      ...{ job_id: `'job-0000501'`, start_at: at, end_at: at, state: `'failed'`, updated_at: at },
    })
    const { windows } = await app.runs.summary()
    expect([windows.length, windows[0]]).toEqual([
      500,
      { jobId: 'job-0000501', oldestOpen: new Date(0), lagMs: expect.any(Number) as number },
    ])
  })

  it('asks the database nothing about no jobs, so that no failure is left unhandled', async () => {
    const database = await openDatabase(fixture.options)
    await database.close()
    expect(await jobActivities(database, [], 3)).toEqual(new Map())
    // The test runner reports rejections that nobody handles.
    await setImmediate()
  })

  it('gives pages of jobs by state, search text and windows', async () => {
    await fixture.open()
    await fixture.empty()
    const windows = { start: '2030-01-01T00:00:00Z' }
    const app = await startApp(fixture.options, [
      defineJob({ id: 'a_100', cron: '0 0 1 1 *', windows }, () => {}),
      defineJob({ id: 'aX100', cron: '0 0 1 1 *' }, () => {}),
      defineJob({ id: 'b.100' }, () => {}),
    ])
    await app.jobs.pause('b.100')
    const idsOf = async (filter: Parameters<typeof app.jobs.page>[0]): Promise<string[]> =>
      (await app.jobs.page(filter)).jobs.map(({ id }) => id)
    expect(await idsOf({ search: '_100' })).toEqual(['a_100'])
    expect(await idsOf({ search: '%1' })).toEqual([])
    expect(await idsOf({ search: '.' })).toEqual(['b.100'])
    expect(await idsOf({ search: 'ä' })).toEqual([])
    expect(await idsOf({ hasWindows: true })).toEqual(['a_100'])
    expect(await idsOf({ state: 'paused' })).toEqual(['b.100'])
    expect(await idsOf({ ids: [] })).toEqual([])
    const first = await app.jobs.page({ limit: 2 })
    expect([first.jobs.length, first.next]).toEqual([2, 'a_100'])
    expect(await idsOf({ after: first.next ?? '' })).toEqual(['b.100'])
    await expect(app.jobs.overview({ runs: 101 })).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('lists nodes with their version, slots, jobs and load', async () => {
    await fixture.open()
    await fixture.empty()
    const jobs = ['b', 'a'].map((id) => defineJob({ id }, () => {}))
    const app = await startApp(fixture.options, jobs, { settings: { piko: { concurrency: 7 } } })
    expect(await app.nodes.list()).toMatchObject([
      { slots: 7, jobs: 2, jobIds: ['a', 'b'], version: expect.stringMatching(/^\d/) as string },
    ])
    expect((await app.nodes.list())[0]?.load?.memory).toBeGreaterThan(1_000_000)
    await app.nodes.set({ concurrency: 9 })
    await eventually(async () => expect((await app.nodes.list())[0]?.slots).toBe(9))
    await app.sql.exec("UPDATE piko_node SET facts = '{}'")
    expect((await app.nodes.list())[0]).toMatchObject({ running: 0, slots: undefined })
  })
})
