import { numbersCrawl, type NumbersOptions } from '../../test/fixtures/crawl/numbers.ts'
import { expectedRequests, numbersSite } from '../../test/fixtures/crawl/numbers-site.ts'
import { atMost, equal } from './finding.ts'
import type { Line } from './line.ts'
import { counted } from './scene.ts'

const PAGES = 10_000
const PARALLEL = 16
const KILLS_AT = [3_000, 6_000]

/** Rows of `number_once` have no key that would refuse a second one. */
export const line: Line<NumbersOptions> = {
  what: '10,000 pages by formula with failures, a node killed at 3,000 and at 6,000: each page once',
  crawl: numbersCrawl,
  async check(scene) {
    const site = await scene.site(numbersSite(PAGES))
    const options = { origin: site.origin, parallel: PARALLEL }
    const app = await scene.client(options)
    await app.sql.exec('CREATE TABLE number_once (n INT NOT NULL)')
    const runId = await app.enqueue('numbers')
    let [killed] = await scene.nodes(scene.count(2), options)
    let underWay = 0
    for (const pages of KILLS_AT) {
      await scene.until(
        `${pages} pages`,
        async () => (await counted(app, 'SELECT COUNT(*) AS n FROM number_once')) >= pages,
      )
      await killed?.kill()
      underWay += await counted(
        app,
        `SELECT COUNT(*) AS n FROM piko_item WHERE state = 'running' AND node_id IN (SELECT id FROM piko_node WHERE pid = ?)`,
        [killed?.pid ?? 0],
      )
      scene.say(`killed at ${pages}, ${site.requests.length} requests`)
      killed = await scene.node(options)
    }
    const run = await app.waitFor(runId)
    const once = await app.sql.query<{ n: number }>('SELECT n FROM number_once ORDER BY n')
    const isExact = once.every(({ n }, index) => Number(n) === index)
    return [
      equal('state of the run', run.state, 'succeeded'),
      equal('rows committed with their pages', [once.length, isExact], [PAGES, true]),
      equal('rows of the sink', await counted(app, 'SELECT COUNT(*) AS n FROM number_page'), PAGES),
      atMost(
        `requests (${underWay} were under way at the kills)`,
        site.requests.length,
        expectedRequests(PAGES) + underWay,
      ),
    ]
  },
}
