import { setTimeout as sleep } from 'node:timers/promises'
import { defineSink, sqlTable } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { z } from 'zod'
import { PAGES_A_CRAWL } from './tables.ts'

const Page = z.object({ page: z.int() })
const table = sqlTable({ name: 'chaos_crawl_sunk', model: Page, key: ['page'], fenceColumn: 'fence' })
const Pages = defineSink({
  name: 'pages',
  on: [[Page, (rows, batch) => table.merge(batch, rows)]],
  clear: (scope) => table.clear(scope),
})

/** Failures of the database are expected here, and must not use up the tries. */
const RETRY = { limit: 10_000, base: '100ms', max: '1s' } as const
const COMMIT_MS = 400
const BODY = new TextEncoder().encode('page')

/**
 * A crawl of each window: page n leads to the pages 2n+1, 2n+2 and ⌊n/2⌋, so most are followed twice. Each writes a row to a sink. Those with
 * an even number also write one in the transaction that ends them.
 */
export function crawlJob(windowsStart: string) {
  return defineCrawl({
    id: 'crawled',
    every: '3s',
    windows: { start: windowsStart, parallel: 3 },
    sinks: { pages: Pages },
    seeds: [urlOf(0)],
    robots: false,
    hosts: { '*': { parallel: 12 } },
    retry: { parse: RETRY, sink: RETRY, network: RETRY, timeout: RETRY, seeds: RETRY },
    steps: {
      page: {
        downloader: {
          name: 'local',
          download: async ({ url }, { signal }) => {
            await sleep(100 * Math.random(), undefined, { signal })
            return { url, status: 200, headers: {}, bytes: BODY, ms: 0, isCached: false }
          },
        },
        parse: async ({ url }, ctx) => {
          const page = Number(url.slice(url.lastIndexOf('/') + 1))
          const next = [2 * page + 1, 2 * page + 2, Math.floor(page / 2)].filter((n) => n < PAGES_A_CRAWL)
          ctx.follow(next.map((n) => ({ url: urlOf(n) })))
          await ctx.sinks.pages.write(Page, { page })
          if (page % 2 !== 0) return
          await ctx.commit(async (trx) => {
            const values = [ctx.window.start, ctx.item.id, page, ctx.fence]
            await trx.exec('INSERT INTO chaos_crawled (window_start, item_id, page, fence) VALUES (?, ?, ?, ?)', values)
            // Leaves time for a fault between the effect and the commit.
            await sleep(COMMIT_MS * Math.random())
          })
        },
      },
    },
  })
}

function urlOf(page: number): string {
  return `https://chaos.test/page/${page}`
}
