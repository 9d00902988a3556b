import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import { createFetcher, type FetchOptions } from '../../../src/crawl/fetch/create-fetcher.ts'
import type { ReadyRequest } from '../../../src/crawl/request/request.ts'
import { socket } from '../../../src/crawl/socket/socket.ts'
import { ItemError } from '../../../src/item/item-error.ts'
import type { Item } from '../../../src/item/item.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobDefinition } from '../../../src/job/spec.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { eventually, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { requestFor, serve } from './fetching.ts'

/** A job whose items are requests that a fetcher of its own loads, as each node of a crawl does. */
function loading(options: Partial<FetchOptions>, urls: readonly string[], classes: string[] = []): JobDefinition {
  const fetcher = createFetcher({ crawl: 'shop', userAgent: 'acme-bot', limits: { private: true }, ...options })
  onTestFinished(() => fetcher.close())
  return defineJob(
    {
      id: 'shop',
      items: {
        page: {
          lane: (data: { readonly request: ReadyRequest }) => new URL(data.request.url).host,
          lanes: { '*': { parallel: 4 } },
          retry: { '*': { limit: 5, base: '1ms' } },
          run: async (item: Item<{ readonly request: ReadyRequest }>, ctx) => {
            const { signal, log } = ctx
            const scope = { fleet: ctx, signal, log, attempt: item.attempt, failures: item.tries }
            try {
              const fetched = await fetcher.fetch(item.data.request, scope)
              await fetched.release('done')
            } catch (error) {
              const { class: kind, message } = error as CrawlError
              classes.push(kind)
              if (kind === 'robots') ctx.skip('robots: disallowed')
              throw new ItemError(message, { class: kind ?? 'error', cause: error })
            }
          },
        },
      },
    },
    async (ctx) =>
      ctx.items.add(
        'page',
        urls.map((url) => ({ request: requestFor(url) })),
        { key: ({ request }) => request.url },
      ),
  )
}

describeEachStore((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
  })

  async function crawled(options: Partial<FetchOptions>, urls: readonly string[], nodes = 2, classes: string[] = []) {
    const apps = []
    for (let node = 0; node < nodes; node++)
      apps.push(await startApp(fixture.options, [loading(options, urls, classes)]))
    const [app] = apps
    if (!app) throw new Error('no node')
    const id = await app.enqueue('shop')
    await eventually(async () => expect((await app.runs.show(id)).state).not.toMatch(/queued|running/))
    return { run: await app.runs.show(id), status: await app.items.status(id) }
  }

  it('asks robots.txt once for all nodes, keeps its delay, and loads nothing below what it disallows', async () => {
    const site = await serve(() => 'page', { robots: 'User-agent: *\nDisallow: /private\nCrawl-delay: 0.3' })
    const urls = [1, 2, 3, 4, 5].flatMap((n) => [site.url(`/${n}`), site.url(`/private/${n}`)])
    const { run, status } = await crawled({}, urls)
    expect(run).toMatchObject({ state: 'succeeded' })
    expect(status).toMatchObject({ done: 5, dead: 0, total: 10 })
    expect(site.count('/robots.txt')).toBe(1)
    const pages = site.requests.filter(({ path }) => path !== '/robots.txt')
    expect(pages.map(({ path }) => path).toSorted()).toEqual(['/1', '/2', '/3', '/4', '/5'])
  })

  it('logs in once for each session, and a 403 retires one', async () => {
    const site = await serve((request) =>
      request.path === '/30' && request.count === 1 ? { status: 403 } : { body: 'page', login: true },
    )
    const urls = Array.from({ length: 60 }, (_, n) => site.url(`/${n}`))
    const classes: string[] = []
    const session: FetchOptions['session'] = { size: 2, login: (http) => http.post(site.url('/login')) }
    const { run, status } = await crawled({ robots: false, session }, urls, 2, classes)
    expect(run).toMatchObject({ state: 'succeeded' })
    expect(status).toMatchObject({ done: 60, dead: 0 })
    expect(classes).toEqual(['blocked'])
    // Near the end, the other session may do the rest.
    expect([2, 3]).toContain(site.logins)
    const rows = await database.sql.query<{ uses: number }>("SELECT uses FROM piko_item_state WHERE name <> ''")
    // The retired one is forgotten, with what it was used for.
    const uses = rows.reduce((sum, row) => sum + Number(row.uses), 0)
    expect(rows.length).toBeLessThanOrEqual(2)
    expect(uses).toBeGreaterThan(0)
    expect(uses).toBeLessThan(61)
  })

  it('stores scores of proxies, and no password', async () => {
    const site = await serve(() => 'page')
    const { status } = await crawled(
      { robots: false, proxies: { urls: ['http://user:geheim@127.0.0.1:9'] } },
      [site.url('/')],
      1,
    )
    expect(status).toMatchObject({ dead: 1 })
    await eventually(async () => {
      const rows = await database.sql.query('SELECT * FROM piko_item_score')
      expect(rows).toHaveLength(1)
      expect(JSON.stringify(rows)).not.toContain('geheim')
    })
    const items = await database.sql.query('SELECT * FROM piko_item')
    expect(JSON.stringify(items)).not.toContain('geheim')
  })

  it('continues a socket after the message that was stored last', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    onTestFinished(() => server.close())
    server.on('connection', (client) => {
      for (let n = 1; n <= 1_000; n++) client.send(String(n))
    })
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const seen: number[] = []
    const fetcher = createFetcher({
      crawl: 'feed',
      robots: false,
      limits: { private: true },
      downloaders: { byName: { live: socket({ until: { messages: 1_000 } }) }, default: 'live' },
    })
    onTestFinished(() => fetcher.close())
    let isBroken = false
    const feed = defineJob(
      {
        id: 'feed',
        items: {
          live: {
            retry: { '*': { limit: 1, base: '1ms' } },
            run: async (item: Item<string>, ctx) => {
              const { signal, log } = ctx
              let number = Number(item.position ?? 0)
              const scope = { fleet: ctx, signal, log, attempt: item.attempt, failures: item.tries }
              const streamed = await fetcher.stream(requestFor(item.data), scope, number)
              for await (const { bytes } of streamed.messages) {
                seen.push(Number(Buffer.from(bytes).toString()))
                number += 1
                if (number % 100 === 0) await ctx.checkpoint(String(number))
                if (number === 400 && !isBroken) {
                  isBroken = true
                  throw new Error('killed')
                }
              }
              await streamed.release('done')
            },
          },
        },
      },
      async (ctx) => ctx.items.add('live', [url]),
    )
    const app = await startApp(fixture.options, [feed])
    const id = await app.enqueue('feed')
    await eventually(async () => expect((await app.runs.show(id)).state).toBe('succeeded'))
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1))
  })
})
