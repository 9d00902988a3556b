import { defineJob, type Item, type JobSource } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { linksOf, numberOf, urlOf } from './graph.ts'

export type Shape = 'pages' | 'items'

const BODY = new TextEncoder().encode('<html><title>page</title></html>')

/** The same graph either as the pages of a crawl, whose downloader answers immediately, or as plain items of a job. */
export function graphJob(shape: Shape, pages: number): JobSource {
  return shape === 'pages' ? crawlOf(pages) : itemsOf(pages)
}

function crawlOf(pages: number): JobSource {
  return defineCrawl({
    id: 'graph',
    seeds: [urlOf(0)],
    robots: false,
    hosts: { '*': {} },
    steps: {
      page: {
        downloader: {
          name: 'instant',
          download: async ({ url }) => ({ url, status: 200, headers: {}, bytes: BODY, ms: 0, isCached: false }),
        },
        parse: (page, ctx) => {
          ctx.follow(linksOf(numberOf(page.url), pages).map((n) => ({ url: urlOf(n) })))
        },
      },
    },
  })
}

function itemsOf(pages: number): JobSource {
  return defineJob(
    {
      id: 'graph',
      items: {
        page: {
          run: async (item: Item<string>, ctx) => {
            await ctx.items.add('page', linksOf(numberOf(item.data), pages).map(urlOf))
          },
        },
      },
    },
    async (ctx) => ctx.items.add('page', [urlOf(0)]),
  )
}
