import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { defineCrawl, type ProxyPool } from '../../src/crawl/index.ts'
import { Resource, RetryLaterError } from '../../src/index.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { eventually, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore, describeMysql, type TestStore } from '../support/databases.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const LOCAL = { robots: false, limits: { private: true } } as const

interface StoredItem extends Record<string, unknown> {
  readonly key: string
  readonly state: string
  readonly reason: string | null
  readonly tries: unknown
}

async function itemsOf(store: TestStore): Promise<StoredItem[]> {
  const { sql } = await store.open()
  return sql.query<StoredItem>('SELECT item_key AS `key`, state, reason, tries, data FROM piko_item ORDER BY id')
}

/** A proxy that answers by itself, so that names of the public internet can be asked. Logs the URLs that it is asked for. */
async function answeringProxy(answer: (url: string) => { readonly status: number; readonly location?: string }) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const url = request.url ?? ''
    asked.push(url)
    const { status, location } = answer(url)
    response.writeHead(status, location === undefined ? {} : { location }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

describeEachStore((store) => {
  it('borrows its proxies from a class, whose provider is called once, and leaves the one that is blocked', async () => {
    await store.empty()
    const [blocked, good] = [
      await answeringProxy(() => ({ status: 403 })),
      await answeringProxy(() => ({ status: 200 })),
    ]
    let calls = 0
    class Provided implements ProxyPool {
      readonly #urls = [blocked.url, good.url]
      provider() {
        calls += 1
        return this.#urls
      }
    }
    class Proxies extends Resource<ProxyPool> {
      async *acquire() {
        yield new Provided()
      }
    }
    const crawl = defineCrawl({
      id: 'through',
      robots: false,
      proxies: Proxies,
      retry: { blocked: { limit: 1, base: '0s', fresh: ['proxy'] } },
      seeds: Array.from({ length: 20 }, (_, n) => `http://shop.test/${n}`),
      steps: { page: () => {} },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('through', { wait: true })).state).toBe('succeeded')
    expect([calls, good.asked.length]).toEqual([1, 20])
    // All but the requests that began at the same time as the first one know that it is blocked.
    expect(blocked.asked.length).toBeLessThanOrEqual(20)
  })

  it('ends a page at a private address at once, also behind a redirect, and asks no robots.txt there', async () => {
    await store.empty()
    const proxy = await answeringProxy((url) =>
      url.endsWith('/out') ? { status: 302, location: 'http://127.0.0.1:9/admin' } : { status: 404 },
    )
    const crawl = defineCrawl({
      id: 'curious',
      proxies: { urls: [proxy.url] },
      tolerate: { dead: 3 },
      seeds: ['http://169.254.169.254/latest', 'http://[::1]/', 'http://shop.test/out'],
      steps: { page: () => {} },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('curious', { wait: true })).state).toBe('succeeded')
    const ends = (await itemsOf(store)).map(({ state, reason, tries }) => `${state} ${reason} ${String(tries)}`)
    expect(ends).toEqual(Array.from({ length: 3 }, () => 'dead address {"address":1}'))
    expect(proxy.asked.toSorted()).toEqual(['http://shop.test/out', 'http://shop.test/robots.txt'])
  })

  it('leaves out seeds whose URL is too long, and stores no password of a URL', async () => {
    await store.empty()
    await using site = await fixtureSite(({ headers }) => headers.authorization ?? 'nobody')
    const seen: string[] = []
    const crawl = defineCrawl({
      id: 'seeded',
      ...LOCAL,
      seeds: [`${site.origin}/${'x'.repeat(9_000)}`, site.url('/in').replace('//', '//me:geheim@')],
      steps: { page: (page) => void seen.push(page.text()) },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('seeded', { wait: true })).state).toBe('succeeded')
    expect(seen).toEqual([`Basic ${Buffer.from('me:geheim').toString('base64')}`])
    const items = await itemsOf(store)
    expect(items.map(({ key }) => key)).toEqual([`GET ${site.url('/in')}`])
    expect(JSON.stringify(items)).not.toContain('geheim')
  })

  it('answers each request of a middleware by its own page, also in the next try', async () => {
    await store.empty()
    await using site = await fixtureSite(({ path, headers, count }) =>
      path === '/token' ? `t${count}` : `page with ${String(headers['x-token'])}`,
    )
    const seen: string[] = []
    const crawl = defineCrawl({
      id: 'tokens',
      ...LOCAL,
      retry: { parse: { limit: 1, base: '20ms' } },
      use: [
        async (request, next) => {
          const token = await next({ ...request, url: site.url('/token') })
          return next({ ...request, headers: { ...request.headers, 'x-token': token.text() } })
        },
      ],
      seeds: [site.url('/page')],
      steps: {
        page: (page, ctx) => {
          seen.push(page.text())
          if (ctx.item.attempt === 1) throw new Error('once more')
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('tokens', { wait: true })).state).toBe('succeeded')
    expect(seen).toEqual(['page with t1', 'page with t2'])
  })

  it('parses the same body again after a RetryLaterError, and loads a page again after ctx.retryLater', async () => {
    await store.empty()
    await using site = await fixtureSite(({ path, count }) => `${path} ${count}`)
    const seen: string[] = []
    const crawl = defineCrawl({
      id: 'later',
      ...LOCAL,
      seeds: ['/error', '/call'].map((path) => site.url(path)),
      steps: {
        page: (page, ctx) => {
          seen.push(page.text())
          if (seen.filter((text) => text.startsWith(page.text().slice(0, 3))).length > 1) return
          if (page.url.endsWith('/error')) throw new RetryLaterError('the target is busy', { after: '20ms' })
          ctx.retryLater('20ms')
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('later', { wait: true })).state).toBe('succeeded')
    expect(seen.toSorted()).toEqual(['/call 1', '/call 2', '/error 1', '/error 1'])
  })

  it('asks a robots.txt again that a server error answered for, at no cost of the page', async () => {
    await store.empty()
    await using site = await fixtureSite({ '/': 'page' }, { robots: 503 })
    const crawl = defineCrawl({
      id: 'patient',
      limits: { private: true },
      seeds: [site.url('/')],
      steps: { page: () => {} },
    })
    const app = await startApp(store.options, crawl)
    const run = await app.run('patient')
    await eventually(async () => {
      const [item] = await itemsOf(store)
      expect([item?.state, String(item?.tries)]).toEqual(['queued', '{"robots":1}'])
    })
    expect(site.count('/')).toBe(0)
    await app.runs.cancel(run.id)
  })
})

describeMysql((store) => {
  it('costs no try of a page while its own database is away', async () => {
    await store.empty()
    const { mysql } = store.options
    if (!mysql) return
    const proxy = await TcpProxy.start({ host: mysql.host, port: mysql.port })
    onTestFinished(() => proxy.stop())
    await using site = await fixtureSite(({ path }) => {
      if (path === '/7') proxy.cut()
      return path
    })
    const parsed: string[] = []
    const crawl = defineCrawl({
      id: 'outage',
      ...LOCAL,
      retry: { parse: 0, sink: 0, network: 0, server: 0 },
      // So that pages wait for the database before their download and after it.
      session: { size: 2 },
      seeds: Array.from({ length: 30 }, (_, n) => site.url(`/${n}`)),
      steps: {
        page: async (page, ctx) => {
          // If only the answer to the commit is lost, what follows it does not run.
          await ctx.commit(async () => void parsed.push(page.url))
        },
      },
    })
    const app = await startApp({ mysql: { ...mysql, port: proxy.port } }, crawl)
    const outage = nextEvent(app, 'store.outage')
    const running = app.run('outage', { wait: true })
    await outage
    // As long as a server takes to restart: every page that runs meets it.
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    proxy.heal()
    expect((await running).state).toBe('succeeded')
    expect(new Set((await itemsOf(store)).map(({ state, tries }) => `${state} ${String(tries)}`))).toEqual(
      new Set(['done null']),
    )
    expect(new Set(parsed).size).toBe(30)
  })

  it('measures its time limit by the database, whatever the clock of a node says', async () => {
    await store.empty()
    await using site = await fixtureSite(({ path }) => path)
    const parsed: string[] = []
    const { now } = Date
    onTestFinished(() => void vi.restoreAllMocks())
    const crawl = defineCrawl({
      id: 'bounded',
      limits: { private: true, time: '10m' },
      robots: false,
      seeds: [site.url('/1')],
      steps: {
        page: (page, ctx) => {
          parsed.push(page.text())
          vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
          if (page.text() === '/1') ctx.follow({ url: '/2' })
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('bounded', { wait: true })).state).toBe('succeeded')
    expect(parsed).toEqual(['/1', '/2'])
  })
})
