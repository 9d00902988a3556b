import { expect, it } from 'vitest'
import { storeOn } from '../../src/store/store.ts'
import { eventually, startApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { WorkerProcess } from '../support/worker-process.ts'
import { hoursAndDays } from '../fixtures/engine/hours-and-days.ts'

/** The default lease and poll interval. */
const DEFAULTS = { lease: '15s', poll_interval: '1s' } as const
const BAD = ['2026-03-28T05:00:00.000Z', '2026-03-29T00:00:00.000Z', '2026-03-29T23:00:00.000Z']

describeEachStore((fixture) => {
  it.each([
    ['plans', true],
    ['executes only', false],
  ])(
    'a day runs within 2 s of its last hour, which a process other than the leader has run, one that %s',
    async (_, plan) => {
      const store = storeOn(await fixture.open())
      await fixture.empty()
      // The leader's only slot holds a run that waits, so it executes neither hours nor days.
      await store.runs.enqueue([{ jobId: 'work', kind: 'manual', priority: -1 }])
      const leader = new WorkerProcess({
        mode: 'lead',
        settings: testSettings(fixture.options, { piko: { ...DEFAULTS, concurrency: 1 } }),
      })
      await leader.told('started')
      const mended = new Set<string>()
      const hour = (start: string) => {
        if (BAD.includes(start) && !mended.has(start)) throw new Error('no data yet')
      }
      await leader.told('running')
      const app = await startApp(fixture.options, hoursAndDays(hour), { plan, settings: { piko: DEFAULTS } })
      await eventually(async () => {
        expect((await app.windows.summary('hourly')).counts).toMatchObject({ succeeded: 68, failed: 3 })
        const days = await app.windows.list('daily')
        expect(days.map(({ state, waitsFor }) => [state, waitsFor?.at.toISOString()])).toEqual(
          BAD.map((start) => ['waiting', start]),
        )
      })
      expect(app.leader.isLeader).toBe(false)
      for (const [index, start] of BAD.entries()) {
        mended.add(start)
        const [failed] = await app.windows.list('hourly', { from: new Date(start), limit: 1 })
        await app.runs.replay({ ids: [failed?.runId ?? 0] })
        const day = await eventually(async () => {
          const [found] = (await app.windows.list('daily')).slice(index)
          expect(found?.state).toBe('succeeded')
          return app.runs.show(found?.runId ?? 0)
        })
        const done = await app.runs.show(failed?.runId ?? 0)
        const delayMs = (day.startedAt?.getTime() ?? Infinity) - (done.finishedAt?.getTime() ?? 0)
        expect(delayMs).toBeGreaterThanOrEqual(0)
        expect(delayMs).toBeLessThan(60_000)
      }
    },
  )
})
