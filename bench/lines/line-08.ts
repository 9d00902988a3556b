import { defineCrawl } from 'piko/crawl'
import { equal } from './finding.ts'
import type { Line } from './line.ts'
import type { Scene } from './scene.ts'

interface Options {
  readonly origin: string
}

const PAGES = 200
const REFUSED = '/100'

export const line: Line<Options> = {
  what: '200 pages behind a login on two nodes with two sessions; a 403 retires its session',
  crawl: ({ origin }) =>
    defineCrawl({
      id: 'members',
      robots: false,
      limits: { private: true },
      session: { size: 2, login: (http) => http.post(`${origin}/login`, { form: { name: 'ada' } }) },
      seeds: Array.from({ length: PAGES }, (_, n) => `${origin}/${n}`),
      steps: { page: () => {} },
    }),
  async check(scene) {
    const fine = await crawled(scene, false)
    const refused = await crawled(scene, true)
    return [
      equal('state, done, logins, pages without a login', fine.found, ['succeeded', PAGES, 2, 0]),
      equal('the same with one 403', refused.found, ['succeeded', PAGES, 3, 1]),
      equal('tries of the page that answered 403', refused.tries, { blocked: 1 }),
    ]
  },
}

async function crawled(scene: Scene<Options>, refuses: boolean) {
  const site = await scene.site(({ path, count }) =>
    refuses && path === REFUSED && count === 1 ? { status: 403 } : { body: 'page', login: true },
  )
  const options = { origin: site.origin }
  const app = await scene.client(options)
  await app.sql.exec('DELETE FROM piko_item_state')
  const nodes = await scene.nodes(2, options)
  const runId = await app.enqueue('members')
  const run = await app.waitFor(runId)
  const { done } = await app.items.status(runId)
  const [page] = (await app.items.list(runId, { limit: 1_000 })).items.filter(({ key }) => key.endsWith(REFUSED))
  for (const node of nodes) await node.stop()
  const without = site.requests.filter(({ status }) => status === 403).length
  return { found: [run.state, done, site.logins, without], tries: page?.tries }
}
