import { setTimeout as sleep } from 'node:timers/promises'
import { defineCrawl } from 'piko/crawl'
import { atLeast, equal, type Finding } from './finding.ts'
import type { Line } from './line.ts'
import type { Scene } from './scene.ts'

interface Options {
  readonly urls: readonly string[]
}

const PAGES = 15
const DELAY_MS = 2_000
const CLOSED_MS = 45_000

export const line: Line<Options> = {
  what: 'robots.txt with Disallow: /private and Crawl-delay: 2 over three nodes, and one that answers 503',
  crawl: ({ urls }) => defineCrawl({ id: 'polite', limits: { private: true }, seeds: urls, steps: { page: () => {} } }),
  async check(scene) {
    return [...(await polite(scene)), ...(await closed(scene))]
  },
}

async function polite(scene: Scene<Options>): Promise<Finding[]> {
  const site = await scene.site(() => 'page', { robots: 'User-agent: *\nDisallow: /private\nCrawl-delay: 2' })
  const urls = Array.from({ length: PAGES }, (_, n) => [site.url(`/${n}`), site.url(`/private/${n}`)]).flat()
  const app = await scene.client({ urls })
  const nodes = await scene.nodes(3, { urls })
  const runId = await app.enqueue('polite')
  const run = await app.waitFor(runId)
  const { done, dead, skipped, reasons } = await app.items.status(runId)
  for (const node of nodes) await node.stop()
  const pages = site.requests.filter(({ path }) => path !== '/robots.txt')
  const gaps = pages.slice(1).map(({ at }, index) => at - (pages[index]?.at ?? 0))
  return [
    equal('state, done, dead, skipped', [run.state, done, dead, skipped], ['succeeded', PAGES, 0, PAGES]),
    equal('reasons', reasons, { robots: PAGES }),
    equal('requests below /private', pages.filter(({ path }) => path.startsWith('/private')).length, 0),
    equal('requests for robots.txt', site.count('/robots.txt'), 1),
    atLeast('shortest time between two pages, in ms', Math.min(...gaps), DELAY_MS),
  ]
}

async function closed(scene: Scene<Options>): Promise<Finding[]> {
  let status = 503
  const site = await scene.site(() => 'page', {
    robots: { respond: (_request, response) => void response.writeHead(status).end(), delay: '10ms' },
  })
  const urls = Array.from({ length: PAGES }, (_, n) => site.url(`/${n}`))
  const app = await scene.client({ urls })
  const nodes = await scene.nodes(3, { urls })
  const runId = await app.enqueue('polite')
  await sleep(CLOSED_MS)
  const loaded = site.requests.length - site.count('/robots.txt')
  const { dead } = await app.items.status(runId)
  scene.say(`${site.count('/robots.txt')} requests for a robots.txt that answers 503`)
  status = 404
  const run = await app.waitFor(runId)
  for (const node of nodes) await node.stop()
  return [
    equal('pages loaded, dead, while robots.txt answers 503', [loaded, dead], [0, 0]),
    equal('state once it answers 404', run.state, 'succeeded'),
  ]
}
