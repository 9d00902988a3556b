import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { eventually, startApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { WorkerProcess } from '../support/worker-process.ts'

const RUNS = 1_000
/** The default lease and poll interval. */
const DEFAULTS = { lease: '15s', poll_interval: '1s', concurrency: RUNS } as const

/** A process paused during a write to a SQLite file blocks all other writers for that time. */
async function stopBetweenWrites(child: WorkerProcess, store: Store): Promise<void> {
  const lock = `UPDATE piko_lock SET owner = owner WHERE name = ''`
  await eventually(async () => {
    child.signal('SIGSTOP')
    try {
      await store.database.sql.exec(lock)
    } catch (error) {
      child.signal('SIGCONT')
      // Not paused again during the same write.
      await store.database.sql.exec(lock)
      throw error
    }
  })
}

describeEachStore((fixture) => {
  const request = { jobId: 'work', kind: 'manual', priority: 0 } as const

  it('a killed node’s 1,000 runs run on another node once its lease is over', async () => {
    const store = storeOn(await fixture.open())
    await fixture.empty()
    await store.runs.enqueue(Array.from({ length: RUNS }, () => request))
    const child = new WorkerProcess({ mode: 'hold', settings: testSettings(fixture.options, { piko: DEFAULTS }) })
    await child.told('running', RUNS)
    const started = new Set<number>()
    const { promise: free, resolve: end } = Promise.withResolvers<void>()
    const hold = defineJob({ id: 'work' }, async (ctx) => {
      started.add(ctx.runId)
      await free
    })
    const app = await startApp(fixture.options, hold, { settings: { piko: DEFAULTS } })
    await child.kill()
    await eventually(() => expect(started.size).toBe(RUNS))
    end()
    await eventually(async () => expect(await store.runs.count('work')).toMatchObject({ succeeded: RUNS }))
    await app.stop()
  })

  it('a node paused for two leases is refused when it finishes; the second execution stands', async () => {
    const store = storeOn(await fixture.open())
    await fixture.empty()
    const [id] = await store.runs.enqueue([request])
    const child = new WorkerProcess({
      mode: 'pause',
      settings: testSettings(fixture.options, { piko: { lease: '2s' } }),
    })
    await child.told('running')
    await stopBetweenWrites(child, store)
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'work' }, () => process.pid),
    )
    const second = await app.waitFor(id!)
    expect(second).toMatchObject({ state: 'succeeded', output: process.pid })
    // The scenario itself takes this long: two leases.
    await sleep(4_000)
    child.signal('SIGCONT')
    await child.told(`lost ${id}`)
    const shown = await app.runs.show(id!)
    expect(shown).toMatchObject(second)
    expect(shown.attempts.map((attempt) => attempt.outcome)).toEqual(['lost', 'succeeded'])
  })
})
