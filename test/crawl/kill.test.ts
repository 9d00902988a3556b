import { expect, it } from 'vitest'
import { storeOn } from '../../src/store/store.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { eventually, makeApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { WorkerProcess } from '../support/worker-process.ts'
import { numbersCrawl } from '../fixtures/crawl/numbers.ts'
import { expectedRequests, numbersSite } from '../fixtures/crawl/numbers-site.ts'

const PAGES = 200
const PARALLEL = 8

describeEachStore((fixture) => {
  it('a crawl whose nodes are killed has each page once, and loads again only what was under way', async () => {
    const { sql } = await fixture.open()
    await fixture.empty()
    await sql.exec('CREATE TABLE IF NOT EXISTS number_once (n INT NOT NULL)')
    await sql.exec('DELETE FROM number_once')
    await using site = await fixtureSite(numbersSite(PAGES))
    const settings = testSettings(fixture.options, { piko: { lease: '2s' } })
    const order = { settings, origin: site.origin, parallel: PARALLEL }
    const app = makeApp(fixture.options, numbersCrawl(order), { settings })
    const done = async (): Promise<number> =>
      Number((await sql.query('SELECT COUNT(*) AS n FROM number_once'))[0]?.['n'])
    const [runId = 0] = await storeOn(await fixture.open()).runs.enqueue([
      { jobId: 'numbers', kind: 'manual', priority: 0 },
    ])
    for (const share of [0.3, 0.6]) {
      const node = new WorkerProcess(order, 'crawl/node')
      await eventually(async () => expect(await done()).toBeGreaterThan(PAGES * share))
      await node.kill()
    }
    await app.start()
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    const numbers = Array.from({ length: PAGES }, (_, n) => ({ n }))
    expect(await sql.query('SELECT n FROM number_once ORDER BY n')).toEqual(numbers)
    expect(await sql.query('SELECT n FROM number_page ORDER BY n')).toEqual(numbers)
    expect(site.requests.length).toBeLessThanOrEqual(expectedRequests(PAGES) + 2 * PARALLEL)
  })
})
