import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { Resource, Sink, type Window } from '../../src/index.ts'
import { Service } from '../../src/service/service.ts'
import {
  browser,
  crawl,
  type CrawlContextOf,
  type CrawlMiddleware,
  crawlSpec,
  defineCrawl,
  type Page,
  type ProxyPool,
  socket,
  step,
} from '../../src/crawl/index.ts'
import { Order, OrdersSink, Token, Warehouse } from './support.ts'

describe('the types of a crawl', () => {
  it('are those of its spec, and its steps are known by name', () => {
    const shop = defineCrawl({
      id: 'shop',
      windows: { start: '2026-01-01T00:00:00Z' },
      cron: '0 3 * * *',
      config: z.object({ base: z.string() }),
      resources: { token: Token },
      sinks: { orders: OrdersSink },
      seeds: async function* ({ window, config }) {
        expectTypeOf(window).toEqualTypeOf<Window>()
        yield { url: `${config.base}/list`, step: 'list' }
      },
      use: [(request, next, ctx) => (ctx.config.base === '' ? ctx.skip('none') : next(request))],
      steps: {
        list: async (page, ctx) => {
          expectTypeOf(page).toEqualTypeOf<Page>()
          expectTypeOf(ctx.resources.token).toEqualTypeOf<string>()
          expectTypeOf(ctx.data).toEqualTypeOf<unknown>()
          expectTypeOf(page.json(z.object({ a: z.number() }))).toEqualTypeOf<{ a: number }>()
          ctx.follow({ url: page.url, step: 'detail', data: { from: page.url } })
          ctx.follow(page.links().map((url) => ({ url, step: 'list' }) as const))
          // @ts-expect-error no such step
          ctx.follow({ url: page.url, step: 'details' })
          // @ts-expect-error a misspelt option
          ctx.follow({ url: page.url, methd: 'POST' })
          // @ts-expect-error no such sink
          void ctx.sinks.prices
          await ctx.sinks.orders.write(Order, [])
        },
        detail: {
          priority: -5,
          timeout: '30s',
          parse: (page, ctx) => {
            expectTypeOf(ctx.window.start).toEqualTypeOf<Date>()
            // @ts-expect-error the schema has no such field
            void ctx.config.region
            return page.text()
          },
        },
      },
    })
    expectTypeOf(shop.id).toEqualTypeOf<string>()
    const wrong = () =>
      defineCrawl({
        id: 'wrong',
        seeds: ['https://a.test'],
        steps: {
          // @ts-expect-error a misspelt option of a step
          page: { parse: () => {}, tiemout: '1s' },
        },
        // @ts-expect-error no such class of failures
        retry: { netwrok: 1 },
      })
    void wrong
  })

  it('accept every option at once, as the design of crawls shows them', () => {
    class Products extends Sink {}
    class Proxies extends Resource<ProxyPool> {
      async *acquire() {
        yield { urls: ['http://proxy.test:8080'] }
      }
    }
    class ProxyService extends Service implements ProxyPool {
      readonly urls = ['http://proxy.test:8080']
    }
    const Answer = z.object({ price: z.number() })
    const signing: CrawlMiddleware = (request, next) => next({ ...request, headers: { ...request.headers, sign: '1' } })
    const onlyHtml: CrawlMiddleware = async (request, next, ctx) => {
      const page = await next(request)
      return page.headers['content-type']?.includes('html') ? page : ctx.skip('no HTML')
    }
    const shop = defineCrawl({
      id: 'shop',
      cron: '0 3 * * *',
      timezone: 'Europe/Rome',
      windows: { start: '2026-01-01T03:00:00Z', catchUp: 'all' },
      config: z.object({ base: z.url() }),
      resources: { db: Warehouse },
      sinks: { prices: Products },
      seeds: async function* ({ window, config }) {
        yield { url: `${config.base}/list?day=${window.start.toISOString().slice(0, 10)}`, step: 'list' }
      },
      steps: {
        list: async (page, ctx) => {
          for (const href of page.links('a.product'))
            ctx.follow({ url: href, step: 'detail', data: { from: page.url } })
          const [next] = page.links('a.next')
          if (next !== undefined) ctx.follow({ url: next, step: 'list' })
        },
        detail: {
          priority: -5,
          timeout: '30s',
          parse: async (page, ctx) => {
            await ctx.sinks.prices.write(Answer, page.json(Answer))
          },
        },
        api: {
          request: { method: 'POST', headers: { accept: 'application/json' } },
          parse: async (page) => page.json(Answer),
        },
        live: {
          downloader: socket({ send: ['{"sub":"px"}'], until: { messages: 10_000, idle: '30s' } }),
          parse: (page) => page.json(Answer),
        },
        rendered: { downloader: browser({ wait: 'networkidle' }), parse: async (page) => page.html('h1').text() },
      },
      dedup: { scope: 'run' },
      hosts: { '*': { rate: '2/s', parallel: 4 }, 'api.shop.com': { rate: '600/m', parallel: 16 } },
      robots: true,
      userAgent: 'acme-bot (+https://acme.test/bot)',
      retry: {
        ...{ network: 5, throttled: 20, server: 5, parse: 1, client: 0 },
        blocked: { limit: 3, fresh: ['session', 'proxy'] },
      },
      session: {
        size: 20,
        login: async (http, session) => {
          const answer = await http.get('https://shop.test/login')
          session.send({ token: answer.text() })
        },
        retireAfter: { uses: 500, errors: 3 },
      },
      cache: { mode: 'http' },
      proxies: Proxies,
      use: [signing, onlyHtml],
      keep: { dead: 'body' },
      limits: { items: 1_000_000, depth: 20, bytes: '10MB', private: false },
      tolerate: { dead: '1%' },
    })
    expect([...(shop.policy.items?.kinds.keys() ?? [])]).toEqual(['list', 'detail', 'api', 'live', 'rendered'])
    const page = { id: 'p', seeds: ['https://a.test'], steps: { page: () => {} } }
    expect(defineCrawl({ ...page, proxies: ProxyService }).id).toBe('p')
    // @ts-expect-error a resource without proxies
    expect(defineCrawl({ ...page, proxies: Warehouse }).id).toBe('p')
    const wrong = () =>
      // @ts-expect-error no such part
      defineCrawl({ ...page, retry: { blocked: { limit: 3, fresh: ['cookies'] } } })
    expect(wrong).toThrow('fresh')
  })

  it('reach the methods of a class', () => {
    const spec = crawlSpec({
      id: 'shop',
      steps: ['list', 'detail'],
      config: z.object({ base: z.string() }),
      sinks: { orders: OrdersSink },
    })
    type Ctx = CrawlContextOf<typeof spec>
    @crawl(spec)
    class Shop {
      async *seeds({ config }: { readonly config: { readonly base: string } }) {
        yield config.base
      }

      @step()
      list(page: Page, ctx: Ctx) {
        // @ts-expect-error no such step
        ctx.follow({ url: page.url, step: 'details' })
        return ctx.follow({ url: page.url, step: 'detail' })
      }

      @step('detail', { priority: 1 })
      async parse(_page: Page, ctx: Ctx) {
        await ctx.sinks.orders.write(Order, [])
      }

      // @ts-expect-error a step gets a page
      @step()
      wrong(page: number) {
        return page
      }
    }
    // @ts-expect-error a crawl needs seeds
    @crawl(spec)
    class Seedless {}
    void [Shop, Seedless]
  })
})
