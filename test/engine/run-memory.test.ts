import { type HeapProfiler, Session } from 'node:inspector/promises'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const RUNS = 4_000
/** Each further feature that every run pays for adds some hundred bytes. Twelve of them had once made a run a fifth slower. */
const MAX_BYTES = 8_700

describeEachStore((store) => {
  it('creates few objects for a run without config, limits or output, from its request to its stored end', async () => {
    await store.empty()
    const app = await startApp(
      store.options,
      defineJob({ id: 'job' }, () => {}),
      { settings: { piko: { concurrency: 1_000 } } },
    )
    let ended = 0
    let told = (): void => {}
    app.events.on('run.settled', () => ++ended % RUNS === 0 && told())
    const runAll = async (): Promise<void> => {
      const all = new Promise<void>((resolve) => (told = resolve))
      for (let stored = 0; stored < RUNS; stored += 1_000)
        await app.enqueueMany(
          'job',
          Array.from({ length: 1_000 }, (_, id) => ({ input: { id } })),
        )
      await all
    }
    // Code that runs for the first time also creates objects that do not belong to any run.
    await runAll()
    const session = new Session()
    session.connect()
    await session.post('HeapProfiler.enable')
    // Unlike a time, the number of bytes hardly depends on how busy the machine is.
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 1_024,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
    await runAll()
    const { profile } = await session.post('HeapProfiler.stopSampling')
    session.disconnect()
    expect(bytesOf(profile.head) / RUNS).toBeLessThan(MAX_BYTES)
  })
})

function bytesOf({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number {
  return children.reduce((sum, child) => sum + bytesOf(child), selfSize)
}
