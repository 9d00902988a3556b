import { expectTypeOf, describe, it } from 'vitest'
import { z } from 'zod'
import type { Window } from '../../src/index.ts'
import { crawl, type CrawlContextOf, crawlSpec, defineCrawl, type Page, step } from '../../src/crawl/index.ts'
import { Order, OrdersSink, Token } from './support.ts'

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
