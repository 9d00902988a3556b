import { describe, expect, it } from 'vitest'
import { crawl, type CrawlContext, defineCrawl, type Page, step } from '../../src/crawl/index.ts'
import { jobsOf } from '../../src/index.ts'
import { JobRegistry } from '../../src/job/registry.ts'

const messageOf = (define: () => unknown): string => {
  try {
    define()
  } catch (error) {
    return String(error)
  }
  return 'no error'
}

describe('defineCrawl', () => {
  it('makes a job with a kind of items for each step', () => {
    const { id, policy } = defineCrawl({
      id: 'shop',
      cron: '0 3 * * *',
      windows: { start: '2026-01-01T03:00:00Z' },
      hosts: { 'API.shop.test.:443': { rate: '600/m', parallel: 16 }, 'bücher.test:8080': { parallel: 1 } },
      retry: { server: 7, blocked: { limit: 1, base: '3s' }, seeds: 2 },
      limits: { items: 1_000, depth: 20, bytes: '2.5MB' },
      tolerate: { dead: '1%' },
      dedup: { scope: { within: '7d' } },
      seeds: ['https://shop.test/'],
      steps: { list: () => {}, detail: { parse: () => {}, priority: -5, timeout: '30s' } },
    })
    const items = policy.items
    expect(id).toBe('shop')
    expect(policy.retry.limit).toBe(2)
    expect(items).toMatchObject({ tolerated: { share: 0.01 }, maxItems: 1_000, maxDepth: 20 })
    const detail = items?.kinds.get('detail')
    expect([...(items?.kinds.keys() ?? [])]).toEqual(['list', 'detail'])
    expect(detail).toMatchObject({
      laneScope: 'crawl',
      priority: -5,
      timeoutMs: 30_000,
      dedup: { withinMs: 604_800_000 },
    })
    expect(detail?.lanes.get('*')?.parallel).toBe(8)
    expect(detail?.lanes.get('api.shop.test')).toEqual({
      ...{ rate: { limit: 600, perMs: 60_000 }, parallel: 16, throttle: true },
    })
    expect([...(detail?.lanes.keys() ?? [])]).toEqual(['*', 'api.shop.test', 'xn--bcher-kva.test:8080'])
    expect(detail?.budgets.get('server')).toMatchObject({ limit: 7, baseMs: 2_000, maxMs: 300_000, breaker: true })
    expect(detail?.budgets.get('blocked')).toMatchObject({ limit: 1, baseMs: 3_000 })
    expect(detail?.budgets.get('parse')?.limit).toBe(1)
  })

  it('names every problem of its own and of the job, each with what was expected', () => {
    const text = messageOf(() =>
      defineCrawl({
        id: 'shop',
        cron: 'often',
        seeds: 'https://shop.test/',
        tolerte: true,
        robots: 'yes',
        session: { sise: 1 },
        proxies: 1,
        items: {},
        retry: { network: -1, netwrok: 2 },
        limits: { bytes: '10 MB', depht: 1 },
        follow: { within: 'page' },
        dedup: { scope: 'ever' },
        use: [1],
        downloaders: { mine: {} },
        hosts: { 'a.test': { rate: 'fast' } },
        tolerate: { dead: '200%' },
        steps: {
          list: 'parse',
          detail: { parse: () => {}, tiemout: '1s', downloader: 'brwser', request: { methd: 'POST' } },
          'no name': () => {},
        },
      } as unknown as Parameters<typeof defineCrawl>[0]),
    )
    for (const problem of [
      'crawl "shop" has',
      'seeds is "https://shop.test/"; expected a list of requests, or a function',
      'unknown option "tolerte", did you mean "tolerate"?',
      'unknown option "items"',
      'robots is "yes"',
      'session is wrong: unknown option "sise", did you mean "size"?',
      'proxies is wrong',
      'network is -1',
      'unknown option "netwrok", did you mean "network"?',
      'bytes is "10 MB"',
      'unknown option "depht", did you mean "depth"?',
      'within is "page"',
      'scope is "ever"',
      'use[0] is 1',
      'downloaders has "mine"',
      'steps.list: ',
      'steps.detail: unknown option "tiemout", did you mean "timeout"?',
      'unknown option "methd", did you mean "method"?',
      'downloader is "brwser"',
      'a step named "no name"',
      '"often"',
      'rate is "fast"',
      'dead is "200%"',
    ])
      expect(text).toContain(problem)
  })

  it.each(['https://shop.test', '*.shop.test', 'shop.test/a', 'a b', ''])('refuses %j as a host', (host) => {
    const spec = {
      id: 'a',
      seeds: [],
      steps: { page: () => {} },
      hosts: { [host]: { parallel: 1 } },
      userAgent: 'é–\n',
    }
    const text = messageOf(() => defineCrawl(spec))
    expect(text).toContain(`hosts has ${JSON.stringify(host)}; expected a host such as`)
    expect(text).toContain('userAgent contains characters')
  })

  it('refuses a function as proxies, which looks like a class', () => {
    const proxies = (async () => ['http://proxy.test']) as never
    const spec = { id: 'a', seeds: [], steps: { page: () => {} }, proxies }
    expect(messageOf(() => defineCrawl(spec))).toContain(
      'proxies is a function; expected a class that extends Resource',
    )
  })

  it.each([
    [undefined, "a crawl's spec is undefined"],
    [{ id: 'a', seeds: [], steps: {} }, 'steps is {}'],
    [{ id: 'a b', seeds: [], steps: { a: () => {} } }, 'its id must be'],
  ])('refuses %j', (spec, problem) => {
    expect(messageOf(() => defineCrawl(spec as unknown as Parameters<typeof defineCrawl>[0]))).toContain(problem)
  })
})

@crawl({ id: 'shop', tolerate: { dead: 1 } })
class Shop {
  *seeds() {
    yield this.base
  }

  readonly base: string = 'https://shop.test/'

  @step()
  list(page: Page, ctx: CrawlContext) {
    return ctx.follow({ url: page.url })
  }

  @step('detail', { priority: 3 })
  parse() {
    return this.base
  }
}

class OtherShop extends Shop {
  override readonly base: string = 'https://other.test/'

  @step('detail', { priority: 4 })
  override parse() {
    return this.base
  }

  @step()
  more() {}
}

describe('@crawl', () => {
  it('makes a class the same job, wherever jobs are read', () => {
    const [definition] = jobsOf(Shop)
    expect(definition?.id).toBe('shop')
    const kinds = definition?.policy.items?.kinds
    expect([...(kinds?.keys() ?? [])].sort()).toEqual(['detail', 'list'])
    expect(kinds?.get('detail')?.priority).toBe(3)
    expect(JobRegistry.of({ kind: 'piko.module', file: 'shop.ts', exports: { Shop } }).ids).toEqual(['shop'])
    expect(JobRegistry.of(new Shop(), Shop).ids).toEqual(['shop'])
  })

  it('is inherited, with the steps of the subclass', () => {
    const [definition] = jobsOf(OtherShop)
    const kinds = definition?.policy.items?.kinds
    expect([...(kinds?.keys() ?? [])].sort()).toEqual(['detail', 'list', 'more'])
    expect(kinds?.get('detail')?.priority).toBe(4)
  })

  it('is refused on anything but a class and methods', () => {
    const decorate = crawl({ id: 'a' }) as unknown as (value: unknown) => void
    expect(() => decorate(1)).toThrow('crawl "a": @crawl is on 1; expected a class')
    const onField = step('list') as unknown as (value: unknown, context: object) => void
    expect(() => onField(undefined, { name: 'list' })).toThrow('@step("list") is on undefined; expected a method')
    expect(messageOf(() => jobsOf(crawled()))).toContain('steps is {}')
  })
})

function crawled(): object {
  @crawl({ id: 'empty' })
  class Empty {
    *seeds() {
      yield 'https://a.test/'
    }
  }
  return Empty
}
