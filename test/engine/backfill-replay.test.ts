import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

describeEachStore((store) => {
  it('a replay reopens a failed backfill, which then ends according to the results of its windows', async () => {
    await store.open()
    await store.empty()
    let isMended = false
    const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-01T05:00:00Z', catchUp: 'none' } as const
    const app = await startApp(
      store.options,
      defineJob({ id: 'sync', every: '1h', windows }, ({ window }) => {
        if (!isMended && window.start.getUTCHours() === 2) throw new Error('no such shop')
      }),
    )
    const backfill = await app.backfills.create('sync', { from: windows.start, to: windows.end, parallel: 5 })
    expect(await backfill.wait()).toMatchObject({ state: 'failed', done: 5, failed: 1 })

    expect(await app.runs.replay({ jobId: 'sync' })).toMatchObject({ count: 1 })
    expect(await backfill.wait()).toMatchObject({ state: 'failed', done: 5, failed: 1 })

    isMended = true
    await app.runs.replay({ jobId: 'sync' })
    expect(await backfill.wait()).toMatchObject({ state: 'succeeded', done: 5, failed: 0 })
    expect(await app.backfills.list()).toMatchObject([
      { state: 'succeeded', done: 5, total: 5, failed: 0, succeeded: 5 },
    ])
  })
})
