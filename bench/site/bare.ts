import { load } from 'cheerio'
import { createRequire } from 'node:module'
import { Agent, request } from 'undici'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { Site } from './site.ts'

/** A crawl by undici and cheerio alone: a list in memory and a set of known URLs. Nothing outlives the process. */
export default async function siteBare(config: SystemConfig): Promise<Found> {
  const [pages, parallel] = [Number(config['pages']), Number(config['parallel'])]
  await using site = await Site.start(pages)
  const dispatcher = new Agent({ connections: parallel })
  const known = new Set([site.seed])
  const queue = [site.seed]
  let active = 0
  const over = Promise.withResolvers<void>()
  const work = async (url: string): Promise<void> => {
    const { body } = await request(url, { dispatcher })
    const html = load(await body.text())
    for (const link of html('a[href]')) {
      const next = new URL(html(link).attr('href') ?? '', url).href
      if (known.has(next)) continue
      known.add(next)
      queue.push(next)
    }
  }
  const fill = (): void => {
    while (active < parallel && queue.length > 0) {
      active += 1
      work(queue.shift()!)
        .then(() => {
          active -= 1
          if (active === 0 && queue.length === 0) over.resolve()
          else fill()
        })
        .catch(over.reject)
    }
  }
  const beganAt = performance.now()
  fill()
  await over.promise
  const values = await site.figures(performance.now() - beganAt)
  await dispatcher.close()
  const versionOf = (name: string): string =>
    (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version
  return { about: { versions: { undici: versionOf('undici') }, settings: {} }, values, settings: { pages, parallel } }
}
