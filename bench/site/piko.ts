import { Piko } from 'piko'
import { defineCrawl } from 'piko/crawl'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'
import { Site } from './site.ts'

/** A crawl on one node. It has the default options except the limit per host: each page is durable, and robots.txt is requested. */
export default async function sitePiko(config: SystemConfig): Promise<Found> {
  const [pages, parallel] = [Number(config['pages']), Number(config['parallel'])]
  await using site = await Site.start(pages)
  const crawl = defineCrawl({
    id: 'site',
    seeds: [site.seed],
    hosts: { '*': { parallel } },
    limits: { private: true },
    steps: {
      page: (page, ctx) => {
        ctx.follow(page.links().map((url) => ({ url })))
      },
    },
  })
  const app = new Piko({
    jobs: crawl,
    settings: { piko: { log_level: 'silent' }, items: { concurrency: parallel }, ...storeSettings(config) },
  })
  await app.start()
  const beganAt = performance.now()
  const run = await app.run('site', { wait: true })
  const ms = performance.now() - beganAt
  const { done } = await app.items.status(run.id)
  const values = await site.figures(ms)
  const about = await aboutPiko(app, config)
  await app.stop()
  if (done !== pages) throw new Error(`${done} of ${pages} pages are done`)
  return { about, values, settings: { pages, parallel } }
}
