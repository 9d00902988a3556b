import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import type { SqlDatabase } from '../../src/index.ts'
import type { JobDefinition } from '../../src/job/spec.ts'
import { storeOn } from '../../src/store/store.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { eventually, makeApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { WorkerProcess } from '../support/worker-process.ts'
import { liveCrawl } from '../fixtures/crawl/live.ts'
import { numbersCrawl } from '../fixtures/crawl/numbers.ts'
import { expectedRequests, numbersSite } from '../fixtures/crawl/numbers-site.ts'

const PAGES = 200
const PARALLEL = 8
const MESSAGES = 300
const LEASE = { piko: { lease: '2s' } } as const

describeEachStore((fixture) => {
  let sql: SqlDatabase

  beforeEach(async () => {
    ;({ sql } = await fixture.open())
    await fixture.empty()
    await sql.exec('CREATE TABLE IF NOT EXISTS number_once (n INT NOT NULL)')
    await sql.exec('DELETE FROM number_once')
  })

  const stored = async (): Promise<readonly number[]> =>
    (await sql.query<{ n: number }>('SELECT n FROM number_once ORDER BY n')).map(({ n }) => Number(n))

  /** Queues a run of a job, before a node has it. */
  async function enqueued({ id }: JobDefinition): Promise<number> {
    const [runId = 0] = await storeOn(await fixture.open()).runs.enqueue([{ jobId: id, kind: 'manual', priority: 0 }])
    return runId
  }

  it('a crawl whose nodes are killed has each page once, and loads again only what was under way', async () => {
    await using site = await fixtureSite(numbersSite(PAGES))
    const settings = testSettings(fixture.options, LEASE)
    const order = { settings, origin: site.origin, parallel: PARALLEL }
    const crawl = numbersCrawl(order)
    const app = makeApp(fixture.options, crawl, { settings })
    const runId = await enqueued(crawl)
    for (const share of [0.3, 0.6]) {
      const node = new WorkerProcess(order, 'crawl/node')
      await eventually(async () => expect((await stored()).length).toBeGreaterThan(PAGES * share))
      await node.kill()
    }
    await app.start()
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    const numbers = Array.from({ length: PAGES }, (_, n) => n)
    expect(await stored()).toEqual(numbers)
    expect((await sql.query<{ n: number }>('SELECT n FROM number_page ORDER BY n')).map(({ n }) => n)).toEqual(numbers)
    expect(site.requests.length).toBeLessThanOrEqual(expectedRequests(PAGES) + 2 * PARALLEL)
  })

  it('a socket whose node is killed has each message once', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    onTestFinished(() => server.close())
    server.on('connection', (client) => {
      for (let n = 1; n <= MESSAGES; n++) client.send(String(n))
    })
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const settings = testSettings(fixture.options, LEASE)
    const order = { settings, url, messages: MESSAGES }
    const crawl = liveCrawl(order)
    const app = makeApp(fixture.options, crawl, { settings })
    const runId = await enqueued(crawl)
    const node = new WorkerProcess(order, 'crawl/node')
    await eventually(async () => expect((await stored()).length).toBeGreaterThan(0))
    await node.kill()
    const before = (await stored()).length
    await app.start()
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    expect(await stored()).toEqual(Array.from({ length: MESSAGES }, (_, index) => index + 1))
    expect(before).toBeLessThan(MESSAGES)
  })
})
