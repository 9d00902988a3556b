import { expect, it } from 'vitest'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Duration } from '../../src/time/duration.ts'
import { eventually, makeApp, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

/** A handler that reaches this limit was not stopped. */
const LIMIT_MS = 120_000

describeEachStore((store) => {
  /** Queries the database in a loop until it is stopped. */
  const asking = (options: { timeout?: Duration } = {}) =>
    defineJob({ id: 'asking', retry: { limit: 0 }, ...options }, async ({ signal }) => {
      const end = Date.now() + LIMIT_MS
      while (!signal.aborted && Date.now() < end) await app.sql.query('SELECT id FROM piko_run WHERE id = 0')
      signal.throwIfAborted()
    })
  const quick = defineJob({ id: 'quick' }, async () => 'done')
  let app: Awaited<ReturnType<typeof startApp>>

  it('times out a handler that queries the database in a loop', async () => {
    app = await startApp(store.options, [asking({ timeout: '1s' }), quick])
    const settled = nextEvent(app, 'run.settled')
    await app.enqueue('asking')
    expect(await settled).toMatchObject({ outcome: 'timeout' })
  })

  it('executes other runs, answers /healthz and cancels during such a handler', async () => {
    app = makeApp(store.options, [asking(), quick])
    const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
    await app.start()
    const started = nextEvent(app, 'run.started', ({ jobId }) => jobId === 'asking')
    const settled = nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'asking')
    const id = await app.enqueue('asking')
    await started
    expect(await app.run('quick', { wait: true })).toMatchObject({ state: 'succeeded' })
    expect((await fetch(`${http.url}/healthz`)).status).toBe(200)
    await app.runs.cancel(id)
    expect(await settled).toMatchObject({ outcome: 'cancelled' })
    await eventually(async () => expect(await app.runs.show(id)).toMatchObject({ state: 'cancelled' }))
  })
})
