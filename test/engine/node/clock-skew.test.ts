import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { nextEvent, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const HOUR_MS = 3_600_000

// On SQLite the database uses the process's own clock, so only MySQL shows a difference.
describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  afterEach(() => void vi.restoreAllMocks())

  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])('a node whose clock is an hour %s plans the current ticks and windows', async (_, skewMs) => {
    const realNow = Date.now
    const start = new Date(Math.floor(realNow() / 1_000) * 1_000)
    vi.spyOn(Date, 'now').mockImplementation(() => realNow() + skewMs)
    const tick = defineJob({ id: 'tick', every: '1s' }, () => {})
    const window = defineJob({ id: 'window', every: '1s', windows: { start } }, () => {})
    const app = await startApp(store.options, [tick, window])

    await nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'window')
    await nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'tick')

    const planned = await database.db.selectFrom('piko_run').select(['job_id', 'tick']).execute()
    expect(new Set(planned.map((run) => run.job_id))).toEqual(new Set(['tick', 'window']))
    for (const run of planned) {
      expect(Math.abs(database.dialect.date(run.tick!).getTime() - realNow())).toBeLessThan(60_000)
    }
  })
})
