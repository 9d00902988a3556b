import { expect, it } from 'vitest'
import { planJob, registrationOf } from '../../../src/engine/planning/plan-job.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobDefinition } from '../../../src/job/spec.ts'
import { insertWindows } from '../../../src/store/windows/insert-windows.ts'
import { storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'

const HOUR_MS = 3_600_000
const START_MS = Date.UTC(2025, 0, 1)
const TAKEN = 2_500
const NOW = new Date(START_MS + 3_100 * HOUR_MS)

const hourly = (startHour: number): JobDefinition =>
  defineJob(
    { id: 'sync', every: '1h', windows: { start: new Date(START_MS + startHour * HOUR_MS), catchUp: 'all' } },
    () => undefined,
  )

describeEachStore((fixture) => {
  // The existing windows begin at half past, as under an earlier schedule, so a cut would show.
  it.each([
    ['where it was', 0, 0, 0],
    ['moved past 2,300 of them', 2_300, 2_299.5, 2_300.5],
    ['moved past all of them', 2_800, 2_799, 2_800],
  ])('plans around 2,500 windows beyond the cursor, with the start %s', async (_, startHour, lowest, first) => {
    const database = await fixture.open({ clock: { now: () => NOW.getTime() } })
    await fixture.empty()
    const store = storeOn(database)
    await store.jobs.register([registrationOf(hourly(0), NOW)])
    const at = (hour: number): Date => new Date(START_MS + hour * HOUR_MS)
    const taken = Array.from({ length: TAKEN }, (_unused, index) => ({
      jobId: 'sync',
      window: { start: at(index + 0.5), end: at(index + 1.5) },
      state: 'succeeded' as const,
    }))
    for (let from = 0; from < TAKEN; from += 500) {
      await insertWindows(database.db, database.dialect, taken.slice(from, from + 500))
    }
    const job = hourly(startHour)
    await store.jobs.register([registrationOf(job, NOW)])
    let passes = 0
    for (let due = 1; due > 0 && passes < 50; passes++) {
      const result = await store.plans.plan(NOW, 10, (jobs) => jobs.map((one) => planJob(job, one, NOW, NOW)))
      due = result.due
    }
    expect(passes).toBeLessThan(15)

    const rows = await database.db.selectFrom('piko_window').select(['start_at', 'end_at', 'state']).execute()
    const windows = rows
      .map((row) => ({
        state: row.state,
        start: database.dialect.date(row.start_at).getTime(),
        end: database.dialect.date(row.end_at).getTime(),
      }))
      .toSorted((a, b) => a.start - b.start)
    const planned = windows.filter(({ state }) => state === 'pending')
    expect(windows.filter(({ start }, index) => start < (windows[index - 1]?.end ?? 0))).toEqual([])
    const beyond = windows.filter(({ start }) => start >= at(first).getTime())
    expect(beyond.filter(({ start }, index) => index > 0 && start !== beyond[index - 1]?.end)).toEqual([])
    expect(planned.filter(({ start }) => start < at(lowest).getTime())).toEqual([])
    expect(beyond[0]?.start).toBe(at(first).getTime())
    expect(windows.at(-1)?.end).toBe(NOW.getTime())
  })
})
