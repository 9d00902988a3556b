import { beforeEach, expect, it } from 'vitest'
import { LoopHealth } from '../../src/engine/loop/loop-health.ts'
import { PrepareRun } from '../../src/engine/prepare-run.ts'
import { Enqueue } from '../../src/operations/runs/enqueue.ts'
import { systemClock } from '../../src/clock.ts'
import { RunWaiter } from '../../src/operations/runs/run-waiter.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { Events } from '../../src/events.ts'
import { describeEachStore } from '../support/databases.ts'

const START = new Date('2025-01-01T00:00:00Z')
const END = new Date('2025-01-03T00:00:00Z')

describeEachStore((fixture) => {
  let store: Store
  let client: Enqueue
  let told: (readonly Date[])[]

  beforeEach(async () => {
    store ??= storeOn(await fixture.open())
    await fixture.empty()
    told = []
    const registry = JobRegistry.of([
      defineJob({ id: 'plain' }, () => {}),
      defineJob({ id: 'daily', every: '1d', windows: { start: START, end: END } }, () => {}),
    ])
    const loops = new LoopHealth({ clock: systemClock, events: new Events() })
    const waiter = new RunWaiter({ runs: store.runs, pollIntervalMs: 1_000, clock: systemClock, loops })
    client = new Enqueue({
      ...{ registry, store, waiter, prepare: new PrepareRun(() => undefined), slots: undefined },
      onEnqueued: (runAts) => told.push(runAts),
    })
    const begin = { nextTick: undefined, windowCursor: END }
    await store.jobs.register([{ id: 'daily', description: undefined, schedule: '0 * * * *', windows: '{}', begin }])
  })

  it('reports the due times of stored runs, so they need not wait for a poll', async () => {
    const later = new Date(Date.now() + 60_000)
    await Promise.all([client.run('plain'), client.run('plain', { runAt: later })])
    expect(told).toEqual([[new Date(0), later]])
    await client.run('daily', { window: START })
    expect(told.slice(1)).toEqual([[new Date(0)]])
  })

  it('stores simultaneous requests together, in the order of the calls', async () => {
    const runs = await Promise.all(Array.from({ length: 1_200 }, (_, input) => client.run('plain', { input })))
    expect(runs.map((run) => run.input)).toEqual(Array.from({ length: 1_200 }, (_, input) => input))
    expect(told.map((runAts) => runAts.length)).toEqual([1_000, 200])
  })
})
