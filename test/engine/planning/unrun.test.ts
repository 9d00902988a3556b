import { beforeEach, describe, expect, it } from 'vitest'
import { registrationOf } from '../../../src/engine/planning/plan-job.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { insertWindows } from '../../../src/store/windows/insert-windows.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import type { WindowState } from '../../../src/store/tables.ts'
import { describeEachStore } from '../../support/databases.ts'

const NOW = '2026-11-28T09:00:00Z'
const t = (text: string): Date => new Date(text)
const day = (date: string): Date => t(`${date}T00:00:00Z`)

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open({ clock: new ManualClock(NOW) })
    store = storeOn(database)
    await fixture.empty()
  })

  const register = (catchUp: 'all' | 'none'): Promise<unknown> => {
    const windows = { start: '2025-01-01T00:00:00Z', catchUp } as const
    const job = defineJob({ id: 'sync', cron: '0 0 * * *', windows }, () => undefined)
    return store.jobs.register([registrationOf(job, t(NOW))])
  }

  const days = (first: string, count: number, state: WindowState = 'succeeded'): Promise<void> => {
    const begin = day(first).getTime()
    const windows = Array.from({ length: count }, (_, index) => ({
      start: new Date(begin + index * 86_400_000),
      end: new Date(begin + (index + 1) * 86_400_000),
    }))
    const rows = windows.map((window) => ({ jobId: 'sync', window, state }))
    return insertWindows(database.db, database.dialect, rows)
  }

  describe('a ledger', () => {
    it('without a live window reports what a backfill ran, what never ran, and that there is no watermark', async () => {
      await register('none')
      await days('2025-01-05', 3)
      const summary = await store.windows.summary('sync')
      expect(summary).toMatchObject({ start: day('2026-11-28'), end: day('2025-01-08'), watermark: undefined })
      expect(summary.unrun).toEqual([
        { start: day('2025-01-01'), end: day('2025-01-05') },
        { start: day('2025-01-08'), end: day('2026-11-28') },
      ])
      expect(await store.windows.coverage('sync')).toEqual([
        { start: day('2025-01-01'), end: day('2025-01-05'), state: 'missing', windows: 0 },
        { start: day('2025-01-05'), end: day('2025-01-08'), state: 'succeeded', windows: 3 },
        { start: day('2025-01-08'), end: day('2026-11-28'), state: 'missing', windows: 0 },
      ])
    })

    it('without any window reports that none of its time ran', async () => {
      await register('none')
      const summary = await store.windows.summary('sync')
      const all = { start: day('2025-01-01'), end: day('2026-11-28') }
      expect([summary.watermark, summary.unrun]).toEqual([undefined, [all]])
      expect(await store.windows.coverage('sync')).toEqual([{ ...all, state: 'missing', windows: 0 }])
    })

    it('reports the time between its windows, and its watermark ends there', async () => {
      await register('all')
      await days('2025-01-01', 2)
      await days('2025-01-04', 1)
      await days('2025-01-05', 1, 'failed')
      await days('2025-01-09', 2)
      const edit = { window_cursor: database.dialect.instant(day('2025-01-11')) }
      await database.db.updateTable('piko_job').set(edit).execute()
      const summary = await store.windows.summary('sync')
      expect([summary.start, summary.watermark]).toEqual([day('2025-01-01'), day('2025-01-03')])
      expect(summary.unrun).toEqual([
        { start: day('2025-01-03'), end: day('2025-01-04') },
        { start: day('2025-01-06'), end: day('2025-01-09') },
      ])
    })

    it('has a watermark beyond the planned time if a backfill ran there first', async () => {
      await register('all')
      await days('2025-01-01', 31)
      await days('2025-03-01', 2)
      const summary = await store.windows.summary('sync')
      expect([summary.start, summary.watermark]).toEqual([day('2025-01-01'), day('2025-02-01')])
      expect(summary.unrun).toEqual([{ start: day('2025-02-01'), end: day('2025-03-01') }])
    })

    it('has the watermark of its live windows, however much time before them never ran', async () => {
      await register('none')
      for (let index = 0; index < 101; index++) {
        await days(new Date(day('2025-01-01').getTime() + index * 2 * 86_400_000).toISOString().slice(0, 10), 1)
      }
      await days('2026-11-28', 2)
      await days('2026-12-01', 1)
      const summary = await store.windows.summary('sync')
      expect([summary.start, summary.watermark]).toEqual([day('2026-11-28'), day('2026-11-30')])
    })

    it('without a gap reports no time that never ran', async () => {
      await register('all')
      await days('2025-01-01', 5)
      const edit = { window_cursor: database.dialect.instant(day('2025-01-06')) }
      await database.db.updateTable('piko_job').set(edit).execute()
      const summary = await store.windows.summary('sync')
      expect([summary.unrun, summary.watermark]).toEqual([[], day('2025-01-06')])
    })
  })
})
