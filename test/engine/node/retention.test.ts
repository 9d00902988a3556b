import { expect, it, onTestFinished } from 'vitest'
import { Events } from '../../../src/events.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Retention } from '../../../src/engine/node/retention.ts'
import { storeOn } from '../../../src/store/store.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const MINUTE_MS = 60_000

describeEachStore((fixture) => {
  it('walks over a long history again only when it has grown by a tenth, or after a quarter of an hour', async () => {
    const database = await fixture.open()
    const store = storeOn(database)
    const enqueueEnded = async (count: number): Promise<void> => {
      const runs = Array.from({ length: count }, () => ({ jobId: 'sync', kind: 'manual', priority: 0 }) as const)
      await store.cancels.request({ ids: await store.runs.enqueue(runs) })
    }
    const kept = async (): Promise<number> => (await store.runs.list({ limit: 1_000 })).length
    const clock = new ManualClock()
    const events = new Events()
    const retention = new Retention({
      store: store.retention,
      rows: { step: () => Promise.resolve(false) },
      batches: store.batches,
      leader: { isLeader: true, onLead: () => () => {} },
      history: { keepSucceededMs: 0, keepFailedMs: 0, keepRuns: 100 },
      ...{ clock, events },
      loops: new LoopHealth({ clock, events }),
    })
    await enqueueEnded(120)
    await retention.start()
    onTestFinished(() => retention.stop())
    await eventually(async () => expect(await kept()).toBe(100))

    const pass = async (ms: number): Promise<void> => {
      await eventually(() => expect(clock.sleeping).toBe(1))
      clock.advance(ms)
      await eventually(() => expect(clock.sleeping).toBe(1))
    }
    await enqueueEnded(12)
    await pass(MINUTE_MS)
    expect(await kept()).toBe(112)
    await enqueueEnded(1)
    await pass(15 * MINUTE_MS)
    await eventually(async () => expect(await kept()).toBe(100))
    await enqueueEnded(12)
    await pass(MINUTE_MS)
    await eventually(async () => expect(await kept()).toBe(100))
  })
})
