import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { eventually, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const HOUR_MS = 3_600_000
const NONE = { count: 0, isExact: true }

describeEachStore((fixture) => {
  it('shows the last runs, the queue, the failures and the lag of each job', async () => {
    await fixture.open()
    await fixture.empty()
    const start = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 3 * HOUR_MS)
    const app = await startApp(fixture.options, [
      defineJob({ id: 'odd' }, ({ input }) => {
        if ((input as number) % 2 === 1) throw new Error('odd')
      }),
      defineJob({ id: 'hourly', cron: '0 * * * *', windows: { start: start.toISOString() } }, ({ window }) => {
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

  it('gives pages of jobs by state, text and windows', async () => {
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
