import { beforeEach, expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { eventually, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const HOUR_MS = 3_600_000
const hour = (index: number): Date => new Date(Date.parse('2025-01-01T00:00:00Z') + index * HOUR_MS)
const windows = { start: hour(0), end: hour(3) } as const
const sync = defineJob({ id: 'sync', cron: '0 * * * *', windows }, () => undefined)
const loads = { start: hour(0), end: hour(5), catchUp: 'none' } as const
const load = defineJob({ id: 'load', cron: '0 * * * *', windows: loads }, () => undefined)
const report = defineJob({ id: 'report', cron: '0 * * * *', windows, dependsOn: ['sync'] }, () => undefined)

describeEachStore((fixture) => {
  let leader: Piko

  beforeEach(async () => {
    await fixture.open()
    await fixture.empty()
    leader = await startApp(fixture.options, [sync])
    await eventually(async () => expect((await leader.windows.summary('sync')).counts.succeeded).toBe(3))
  })

  it('the backfill of a job that the leader does not know ends on another node', async () => {
    const node = await startApp(fixture.options, [load])
    const backfill = await node.backfills.create('load', { from: hour(0), to: hour(5), parallel: 2 })
    expect(await backfill.wait({ signal: AbortSignal.timeout(200_000) })).toMatchObject({
      state: 'succeeded',
      succeeded: 5,
    })
    await node.stop()
  })

  it('windows that wait for those of a job on the leader run, even if the leader does not know their job', async () => {
    const node = await startApp(fixture.options, [sync, report])
    await eventually(async () => expect((await node.windows.summary('report')).counts.succeeded).toBe(3), 20_000)
    await node.stop()
  })

  it.each([
    ['', {}],
    [' and its own node plans nothing', { plan: false }],
  ])('the onDone run of a batch gets the priority and limits of its job if the leader lacks it%s', async (_, role) => {
    const ship = defineJob({ id: 'ship' }, () => undefined)
    const done = defineJob({ id: 'done', priority: 7, concurrency: { limit: 1, key: () => 'one' } }, () => undefined)
    const node = await startApp(fixture.options, [ship, done], role)
    const { id } = await node.batches.create('ship', [{ input: {} }, { input: {} }], { onDone: 'done' })
    // `show` only reads; `wait` would end the batch.
    await eventually(async () => expect((await leader.batches.show(id)).state).toBe('succeeded'), 20_000)
    const runs = await node.sql.query(`SELECT priority, concurrency_key FROM piko_run WHERE job_id = 'done'`)
    expect(runs).toMatchObject([{ priority: 7 }])
    expect(runs[0]?.['concurrency_key']).toContain('one')
    await node.stop()
  })
})
