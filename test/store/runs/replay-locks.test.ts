import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { lockWait } from '../../support/lock-wait.ts'

const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-09T00:00:00Z', catchUp: 'none' } as const
const RANGE = { from: windows.start, to: windows.end }
const COUNT = 192

/** Tries its transactions only once, so that a deadlock surfaces. */
const triedOnce = (database: Database): Database => ({
  ...database,
  transaction: (fn) => database.db.transaction().execute(fn),
})

describeEachStore((fixture) => {
  it('a replay locks the backfill before its windows, as a step of the backfill does', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'sync', every: '1h', windows }, () => Promise.reject(new Error('no such shop'))),
    )
    const backfill = await app.backfills.create('sync', { ...RANGE, parallel: 50 })
    expect(await backfill.wait()).toMatchObject({ state: 'failed', failed: COUNT })
    await app.stop()

    const store = storeOn(triedOnce(database))
    const replayed = await store.database.transaction(async (trx) => {
      const locked = trx.selectFrom('piko_backfill').select('id').where('id', '=', backfill.id)
      await locked.modifyEnd(database.dialect.forUpdate).execute()
      const replay = store.replays.replay({ jobId: 'sync' })
      if (fixture.name === 'mysql') await lockWait(database.sql)
      const rows = trx.selectFrom('piko_window').select('id').where('job_id', '=', 'sync').orderBy('start_at')
      expect(await rows.modifyEnd(database.dialect.forUpdate).execute()).toHaveLength(COUNT)
      await sql`UPDATE piko_window SET updated_at = updated_at WHERE job_id = 'sync'`.execute(trx)
      return { replay }
    })
    expect(await replayed.replay).toMatchObject({ count: COUNT })
    expect(await store.backfills.find(backfill.id)).toMatchObject({ state: 'running' })
  })

  it('many replays during the steps of two backfills lose no window and raise no error', async () => {
    await fixture.open()
    await fixture.empty()
    const tries = new Map<number, number>()
    const job = defineJob({ id: 'sync', every: '1h', windows }, ({ window }) => {
      const before = tries.get(window.start.getTime()) ?? 0
      tries.set(window.start.getTime(), before + 1)
      if (before < 3) throw new Error('not yet')
    })
    const first = await startApp(fixture.options, job)
    const second = await startApp(fixture.options, job)
    const failures = [recordEvents(first, 'loop.failed'), recordEvents(second, 'loop.failed')]
    const backfill = await first.backfills.create('sync', { ...RANGE, parallel: 50 })
    const newest = await first.backfills.create('sync', { ...RANGE, only: 'failed', order: 'newest', parallel: 50 })

    await eventually(async () => {
      await Promise.all([first, second, first, second].map((app) => app.runs.replay({ jobId: 'sync' })))
      expect((await first.windows.summary('sync')).counts).toMatchObject({ succeeded: COUNT })
    })
    expect(await backfill.wait()).toMatchObject({ state: 'succeeded', failed: 0 })
    expect(await newest.wait()).toMatchObject({ state: 'succeeded', failed: 0 })
    expect(failures).toEqual([[], []])
  })
})
