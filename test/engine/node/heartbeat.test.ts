import { expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import { eventually, nextEvent, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

const settings = { piko: { lease: '2s' } }

describeEachStore((fixture) => {
  it('keeps its lease while its event loop is blocked for two leases', async () => {
    await fixture.open()
    await fixture.empty()
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'parse' }, () => block(4_500)),
      { settings },
    )
    const lost = recordEvents(app, 'node.lost')
    const run = await app.run('parse', { wait: true })
    expect(run).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(lost).toEqual([])
  })

  it('gives up its lease when a run blocks the event loop past its timeout and the grace time', async () => {
    const database = await fixture.open()
    await fixture.empty()
    let calls = 0
    const job = defineJob({ id: 'parse', timeout: '200ms' }, () => {
      if (++calls === 1) block(6_000)
    })
    const app = await startApp(fixture.options, job, { settings, graceMs: 100 })
    const before = await database.db.selectFrom('piko_node').select('id').executeTakeFirstOrThrow()
    const lost = nextEvent(app, 'node.lost')
    const runLost = nextEvent(app, 'run.lost')
    const { id } = await app.run('parse')
    expect(await lost).toMatchObject({ nodeId: before.id })
    expect(await runLost).toMatchObject({ runId: id })
    // Returned to the queue and executed again under the new id.
    expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(calls).toBe(2)
  })

  it('continues as a new node when its row was taken, and its runs are executed again', async () => {
    const database = await fixture.open()
    await fixture.empty()
    let calls = 0
    const job = defineJob({ id: 'wait' }, async (ctx) => {
      if (++calls > 1) return
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      expect(ctx.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
    })
    const app = await startApp(fixture.options, job, { settings })
    const { id } = await app.run('wait')
    await eventually(() => expect(calls).toBe(1))
    await database.db.deleteFrom('piko_node').execute()
    expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
    expect(calls).toBe(2)
    expect((await database.db.selectFrom('piko_node').selectAll().execute()).length).toBe(1)
  })
})
