import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineCrawl, type Page } from '../../src/crawl/index.ts'
import { ItemError, type RowModel, Sink, type SinkBatch, type SinkScope, sqlTable } from '../../src/index.ts'
import { mark } from '../../src/sink/on.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore, type TestStore } from '../support/databases.ts'

/** What every crawl of this file has: its server is on this machine and asks for no patience. */
const LOCAL = {
  robots: false,
  limits: { private: true },
  retry: {
    server: { limit: 3, base: '20ms' },
    parse: { limit: 1, base: '20ms' },
    throttled: { limit: 3, base: '20ms' },
  },
} as const

interface StoredItem extends Record<string, unknown> {
  readonly kind: string
  readonly key: string
  readonly state: string
  readonly reason: string | null
}

/** A method to mark without a decorator. */
function ownMethod(owner: { readonly prototype: object }, name: string): object {
  return Object.getOwnPropertyDescriptor(owner.prototype, name)?.value as object
}

async function itemsOf(store: TestStore): Promise<StoredItem[]> {
  const { sql } = await store.open()
  return sql.query<StoredItem>('SELECT kind, item_key AS `key`, state, reason FROM piko_item ORDER BY id')
}

describeEachStore((store) => {
  it('sends nothing the second time with a forced cache, and parses the same pages', async () => {
    await store.empty()
    const folder = mkdtempSync(join(tmpdir(), 'piko-crawl-cache-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    await using site = await fixtureSite(({ path }) =>
      path === '/' ? '<a href="/one">1</a><a href="/two">2</a>' : path,
    )
    const pages: string[] = []
    const crawl = defineCrawl({
      id: 'kept',
      ...LOCAL,
      cache: { mode: 'force', folder },
      seeds: [{ url: `${site.origin}/`, step: 'page' }],
      steps: {
        page: (page, ctx) => {
          pages.push(page.text())
          ctx.follow(page.links().map((url) => ({ url, step: 'page' })))
        },
      },
    })
    const app = await startApp(store.options, crawl)
    await app.run('kept', { wait: true })
    const [first, sent] = [pages.splice(0).toSorted(), site.requests.length]
    expect([first.length, sent]).toEqual([3, 3])
    await app.run('kept', { wait: true })
    expect([pages.toSorted(), site.requests.length]).toEqual([first, sent])
  })

  it('sends each request whole, once, however its URL is written, and loses none to a redirect', async () => {
    await store.empty()
    await using site = await fixtureSite(({ path, method, body, headers }) => {
      if (path === '/moved') return { redirect: '/a' }
      return { body: { path, method, body, headers } }
    })
    const seen: unknown[] = []
    const pages: string[] = []
    const note = (page: Page): void => void pages.push(`${page.request.method} ${page.url.slice(site.origin.length)}`)
    const body = '{"deep":{"é":[1,null,"ü"]},"n":12.5}'
    const crawl = defineCrawl({
      id: 'shop',
      ...LOCAL,
      seeds: [{ url: `${site.origin}/start`, step: 'start' }],
      steps: {
        start: (page, ctx) => {
          ctx.follow({
            url: '/api?b=2&a=1',
            step: 'api',
            method: 'POST',
            headers: { 'X-One': '1', 'x-two': 'two words', accept: 'application/json' },
            body: { json: JSON.parse(body) as unknown },
            data: { from: page.url, list: [1, 'zwei', null] },
          })
          expect(
            ctx.follow([
              { url: '/a?x=1&y=2#z', step: 'page' },
              { url: '/a?y=2&x=1', step: 'page' },
            ]),
          ).toBe(2)
          ctx.follow([
            { url: '/post', step: 'page', body: 'one' },
            { url: '/post', step: 'page', body: 'two' },
          ])
          ctx.follow([
            { url: '/again', step: 'page' },
            { url: '/again', step: 'page', dedup: false },
          ])
          ctx.follow([
            { url: '/a', step: 'page' },
            { url: '/moved', step: 'page' },
          ])
          ctx.follow({ url: 'http://[', step: 'page' })
        },
        api: (page, ctx) => {
          const answer = page.json(
            z.object({ method: z.string(), body: z.string(), headers: z.record(z.string(), z.string()) }),
          )
          seen.push(answer, ctx.data, ctx.item)
        },
        page: note,
      },
      tolerate: { dead: 1 },
    })
    const app = await startApp(store.options, crawl)
    const run = await app.run('shop', { wait: true })
    expect(run.state).toBe('succeeded')
    const [answer, data, item] = seen
    expect(answer).toMatchObject({
      method: 'POST',
      body,
      headers: { 'x-one': '1', 'x-two': 'two words', accept: 'application/json', 'content-type': 'application/json' },
    })
    expect(data).toEqual({ from: `${site.origin}/start`, list: [1, 'zwei', null] })
    expect(item).toMatchObject({ step: 'api', url: `${site.origin}/api?b=2&a=1`, attempt: 1, depth: 1 })
    expect(pages.toSorted()).toEqual([
      'GET /a',
      'GET /a',
      'GET /a?x=1&y=2',
      'GET /again',
      'GET /again',
      'POST /post',
      'POST /post',
    ])
    const dead = (await itemsOf(store)).filter(({ state }) => state === 'dead')
    expect(dead).toMatchObject([{ kind: 'page', reason: 'address' }])
  })

  it('fails by classes: each has its budget, and a step that throws is parsed again without a request', async () => {
    await store.empty()
    await using site = await fixtureSite({
      '/list': { links: ['/ok', '/flaky', '/gone', '/broken', '/private', '/words', '/late', '/own', '/never'] },
      '/ok': 'ok',
      '/flaky': { body: 'ok', failures: { times: 2, status: 503 } },
      '/broken': 'broken',
      '/private': { status: 403 },
      '/words': 'You are blocked',
      '/late': 'late',
      '/own': 'own',
      '/never': { status: 500 },
    })
    const parsed: string[] = []
    let isLate = false
    const crawl = defineCrawl({
      id: 'shop',
      ...LOCAL,
      retry: { ...LOCAL.retry, blocked: { limit: 1, base: '20ms' }, server: { limit: 2, base: '20ms' } },
      isBlocked: (page) => page.text().includes('You are blocked'),
      tolerate: { dead: '60%' },
      seeds: [`${site.origin}/list`],
      steps: {
        page: (page, ctx) => {
          const path = new URL(page.url).pathname
          parsed.push(path)
          ctx.follow(page.links().map((url) => ({ url })))
          if (path === '/broken') throw new TypeError('cannot read')
          if (path === '/own') throw new ItemError('not today', { class: 'client' })
          if (path === '/late' && !isLate) {
            isLate = true
            ctx.retryLater('10ms')
          }
          if (path === '/ok') ctx.skip('known: has it')
        },
      },
    })
    const app = await startApp(store.options, crawl)
    await app.run('shop', { wait: true })
    const ends = (await itemsOf(store)).map(({ key, state, reason }) => [
      key.slice(`GET ${site.origin}`.length),
      state,
      reason,
    ])
    expect(ends.toSorted()).toEqual([
      ['/broken', 'dead', 'parse'],
      ['/flaky', 'done', null],
      ['/gone', 'dead', 'client'],
      ['/late', 'done', null],
      ['/list', 'done', null],
      ['/never', 'dead', 'server'],
      ['/ok', 'skipped', 'known: has it'],
      ['/own', 'dead', 'client'],
      ['/private', 'dead', 'blocked'],
      ['/words', 'dead', 'blocked'],
    ])
    const count = (path: string): number => site.requests.filter((request) => request.path === path).length
    expect(['/broken', '/gone', '/flaky', '/never', '/private', '/words', '/late'].map(count)).toEqual([
      1, 1, 3, 3, 2, 2, 2,
    ])
    expect(parsed.filter((path) => path === '/broken')).toHaveLength(2)
    const { sql } = await store.open()
    const [{ error = '' } = {}] = await sql.query("SELECT error FROM piko_item WHERE reason = 'parse'")
    expect(String(error)).toContain('TypeError: cannot read')
  })

  it('takes only the links within its bounds, and stops at its depth and its number', async () => {
    await store.empty()
    await using site = await fixtureSite(({ path, url }) => {
      const n = Number(path.slice(1) || 0)
      return { links: [`/${n + 1}`, `${url}/x.pdf`, 'http://other.test/', `/${'y'.repeat(9_000)}`] }
    })
    const crawl = defineCrawl({
      id: 'shop',
      ...LOCAL,
      follow: { within: 'host', exclude: [/\.pdf$/] },
      limits: { private: true, depth: 5 },
      seeds: [`${site.origin}/0`],
      steps: { page: (page, ctx) => ctx.follow(page.links().map((url) => ({ url }))) },
    })
    const few = defineCrawl({
      id: 'few',
      ...LOCAL,
      limits: { private: true, items: 3 },
      seeds: [`${site.origin}/0`],
      steps: { page: (page, ctx) => ctx.follow(page.links('a[href^="/"]').map((url) => ({ url }))) },
    })
    const app = await startApp(store.options, [crawl, few])
    expect((await app.run('shop', { wait: true })).state).toBe('succeeded')
    expect(site.requests.map(({ path }) => path)).toEqual(['/0', '/1', '/2', '/3', '/4', '/5'])
    site.requests.length = 0
    expect((await app.run('few', { wait: true })).state).toBe('succeeded')
    expect(site.requests).toHaveLength(3)
  })

  it('skips what is left when its time is over', async () => {
    await store.empty()
    await using site = await fixtureSite(({ path }) => ({ links: [`/${Number(path.slice(1)) + 1}`], delay: '20ms' }))
    const crawl = defineCrawl({
      id: 'endless',
      ...LOCAL,
      limits: { private: true, time: '300ms' },
      seeds: [`${site.origin}/0`],
      steps: { page: (page, ctx) => ctx.follow(page.links().map((url) => ({ url }))) },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('endless', { wait: true })).state).toBe('succeeded')
    expect((await itemsOf(store)).at(-1)).toMatchObject({
      state: 'skipped',
      reason: expect.stringMatching(/^time: /) as string,
    })
  })

  it('passes requests and rows through its middleware, the first outermost', async () => {
    await store.empty()
    await using site = await fixtureSite(({ headers }) => ({ body: { signature: headers['x-signature'] ?? 'none' } }))
    const order: string[] = []
    const written: unknown[] = []
    const Row = z.object({ n: z.int() })
    class Rows extends Sink {
      rows(rows: unknown[]): void {
        written.push(...rows)
      }
    }
    mark(ownMethod(Rows, 'rows'), Row)
    const crawl = defineCrawl({
      id: 'shop',
      ...LOCAL,
      sinks: { rows: Rows },
      seeds: [`${site.origin}/a`],
      use: [
        async (request, next) => {
          order.push('one')
          const page = await next({ ...request, headers: { ...request.headers, 'x-signature': 'yes' } })
          order.push('one again')
          return page
        },
        (request, next, ctx) => {
          order.push('two')
          return request.url.endsWith('/skipped') ? ctx.skip('not wanted') : next(request)
        },
      ],
      rows: [
        async (row, next) => {
          const { n } = row as { n: number }
          if (n % 2 === 0) await next({ n: n + 1 })
        },
        (row, next, { sink, model }) => {
          order.push(`${sink} ${String(model === Row)}`)
          return next(row)
        },
      ],
      steps: {
        page: async (page, ctx) => {
          order.push(String((page.json() as { signature: string }).signature))
          await ctx.sinks.rows.write(Row, [{ n: 1 }, { n: 2 }, { n: 4 }])
          ctx.follow({ url: '/skipped' })
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('shop', { wait: true })).state).toBe('succeeded')
    expect(order).toEqual(['one', 'two', 'one again', 'yes', 'rows true', 'rows true', 'one', 'two'])
    expect(written).toEqual([{ n: 3 }, { n: 5 }])
    expect(site.requests).toHaveLength(1)
  })
})

const Price = z.object({ id: z.int(), price: z.int() })
const prices = sqlTable<z.infer<typeof Price>>({ name: 'crawl_price', model: Price, key: ['id'], fenceColumn: 'fence' })

class Prices extends Sink {
  override open(env: Parameters<NonNullable<Sink['open']>>[0]): Promise<void> {
    return prices.open(env, { create: true })
  }

  prices(rows: z.infer<typeof Price>[], batch: SinkBatch): Promise<void> {
    return prices.merge(batch, rows)
  }

  override clear(scope: SinkScope, _model: RowModel): Promise<void> {
    return prices.clear(scope)
  }
}
mark(ownMethod(Prices, 'prices'), Price)

describeEachStore((store) => {
  it('crawls a month of days by a backfill, and a day again replaces its rows and no other', async () => {
    await store.empty()
    const PER_DAY = 4
    let raise = 0
    await using site = await fixtureSite(({ path }) => {
      const [, day, id] = path.split('/')
      if (id === undefined) return { links: Array.from({ length: PER_DAY }, (_, n) => `/${day}/${n}`) }
      return { body: { id: Number(id), price: Number(day?.slice(8)) * 100 + Number(id) + raise } }
    })
    const crawl = defineCrawl({
      id: 'shop',
      ...LOCAL,
      cron: '0 0 * * *',
      windows: { start: '2026-03-01T00:00:00Z', end: '2026-04-01T00:00:00Z', catchUp: 'none' },
      sinks: { prices: Prices },
      seeds: function* ({ window }) {
        yield { url: `${site.origin}/${window.start.toISOString().slice(0, 10)}`, step: 'list' }
      },
      steps: {
        list: (page, ctx) => ctx.follow(page.links().map((url) => ({ url, step: 'detail' }) as const)),
        detail: (page, ctx) => ctx.sinks.prices.write(Price, page.json(Price)),
      },
    })
    const app = await startApp(store.options, crawl)
    const march = { from: '2026-03-01', to: '2026-04-01', parallel: 4 } as const
    const backfill = await app.backfills.create('shop', march)
    expect(await app.backfills.wait(backfill.id)).toMatchObject({ state: 'succeeded' })
    const rows = (): Promise<Record<string, unknown>[]> =>
      app.sql.query('SELECT window_start, id, price, fence FROM crawl_price ORDER BY window_start, id')
    const before = await rows()
    expect(before).toHaveLength(31 * PER_DAY)
    expect(before.map(({ price }) => Number(price)).slice(0, PER_DAY)).toEqual([100, 101, 102, 103])
    raise = 50
    const again = await app.backfills.create('shop', { from: '2026-03-02', to: '2026-03-03', only: 'all' })
    expect(await app.backfills.wait(again.id)).toMatchObject({ state: 'succeeded' })
    const after = await rows()
    expect(after.toSpliced(PER_DAY, PER_DAY)).toEqual(before.toSpliced(PER_DAY, PER_DAY))
    const second = after.slice(PER_DAY, 2 * PER_DAY)
    expect(second.map(({ price }) => Number(price))).toEqual([250, 251, 252, 253])
    expect(Number(second[0]?.['fence'])).toBeGreaterThan(Number(before[PER_DAY]?.['fence']))
  })
})
