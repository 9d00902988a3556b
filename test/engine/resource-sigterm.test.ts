import { beforeEach, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startApp, storeSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { WorkerProcess } from '../support/worker-process.ts'

const RUNS = 400

describeEachStore((store) => {
  beforeEach(async () => {
    await store.open()
    await store.empty()
  })

  it('SIGTERM in the middle of runs over two pools returns everything, and another process ends the rest', async () => {
    const settings = { ...storeSettings(store.options), piko: { concurrency: 50 } }
    const jobs = ['ab', 'ba'].map((id) => defineJob({ id }, () => {}))
    const ids: number[] = []
    {
      await using caller = await startApp(store.options, jobs, { execute: false, plan: false })
      const inputs = Array.from({ length: RUNS / 2 }, (_, input) => ({ input }))
      for (const id of ['ab', 'ba']) ids.push(...(await caller.enqueueMany(id, inputs)))
    }
    const first = new WorkerProcess({ settings }, 'engine/pools')
    await first.told('busy')
    first.signal('SIGTERM')
    expect(await first.end()).toEqual({ code: 0, stderr: expect.anything() as string })
    const left = JSON.parse(first.lines.at(-1)?.slice('left '.length) ?? '') as Record<string, number>
    expect(left).toMatchObject({ held: 0, closed: 2 })
    expect(left['most']).toBeLessThanOrEqual(10)
    expect(left['borrowed']).toBeLessThan(2 * RUNS)
    const second = await startApp(store.options, jobs, {})
    const runs = await Promise.all(ids.map((id) => second.waitFor(id)))
    await second.stop()
    expect(runs.every(({ state }) => state === 'succeeded' || state === 'failed')).toBe(true)
    expect(runs.every(({ attempt }) => attempt === 1)).toBe(true)
  })
})
