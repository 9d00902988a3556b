import { expect, it } from 'vitest'
import { z } from 'zod'
import type { Answer, Downloader } from '../../src/crawl/index.ts'
import { defineCrawl } from '../../src/crawl/index.ts'
import type { EventMap } from '../../src/events.ts'
import { defineJob, defineSink, type Item, ItemError, type JobDefinition, type Piko } from '../../src/index.ts'
import { OpenExtensions } from '../../src/engine/items/open-extensions.ts'
import { fixtureSite, testCrawl } from '../../src/testing/index.ts'
import { Service } from '../../src/service/service.ts'
import { eventually, startApp } from '../support/app.ts'
import { describeEachStore, describeSqlite } from '../support/databases.ts'

const LOCAL = { robots: false, limits: { private: true } } as const

describeEachStore((store) => {
  it('calls `dead` once for a page without tries left, with its answer and sinks, before the page is dead', async () => {
    await store.empty()
    await using site = await fixtureSite({
      '/broken': 'broken',
      '/gone': { status: 404, body: 'gone' },
      '/fine': 'fine',
    })
    const Lost = z.object({ url: z.string(), class: z.string(), text: z.string(), tries: z.number() })
    const rows: z.infer<typeof Lost>[] = []
    const states: unknown[] = []
    const { sql } = await store.open()
    const crawl = defineCrawl({
      id: 'hooked',
      ...LOCAL,
      retry: { parse: { limit: 1, base: '10ms' } },
      tolerate: { dead: 2 },
      sinks: { lost: defineSink({ name: 'Lost', on: [[Lost, (batch) => void rows.push(...batch)]] }) },
      seeds: ['/broken', '/gone', '/fine'].map((path) => `${site.origin}${path}`),
      steps: {
        page: (page, ctx) => {
          if (ctx.data === undefined && page.text() === 'broken') throw new Error('no price')
        },
      },
      dead: async (page, ctx) => {
        states.push(...(await sql.query('SELECT state FROM piko_item WHERE id = ?', [page.id])))
        const { url, class: name, tries } = page
        await ctx.sinks.lost.write(Lost, { url, class: name, text: page.page?.text() ?? '', tries: tries[name] ?? 0 })
        if (name === 'client') throw new Error('the hook fails')
      },
    })
    const app = await startApp(store.options, crawl)
    const run = await app.run('hooked', { wait: true })
    expect(rows).toEqual([{ url: `${site.origin}/broken`, class: 'parse', text: 'broken', tries: 2 }])
    expect(states).toEqual([{ state: 'running' }, { state: 'running' }])
    expect(await app.crawls.status(run.id)).toMatchObject({ done: 1, dead: 2 })
  })

  it('tells when the breaker of a lane opens and closes, and counts open ones', async () => {
    await store.empty()
    const database = await store.open()
    let isDown = true
    const job = defineJob(
      {
        id: 'broken',
        items: {
          call: {
            run: (_item: Item<number>) => {
              if (isDown) throw new ItemError('down', { class: 'network' })
            },
            lane: () => 'api.test',
            lanes: { '*': { parallel: 1 } },
            retry: { network: { limit: 20, base: '0s', breaker: true } },
          },
        },
      },
      async (ctx) => ctx.items.add('call', [1, 2, 3]),
    )
    const app = await startApp(store.options, job)
    const told: unknown[] = []
    app.events.on('lane.opened', ({ scope, lane, opens, openUntil }) =>
      told.push([scope, lane, opens, openUntil > new Date()]),
    )
    app.events.on('lane.closed', ({ scope, lane }) => told.push([scope, lane]))
    const runId = await app.enqueue('broken')
    await eventually(() => expect(told).toEqual([['broken', 'api.test', 1, true]]))
    await eventually(async () => expect((await app.metrics()).body).toContain('piko_lane_open{scope="broken"} 1'))
    isDown = false
    const now = database.dialect.now()
    await database.db.updateTable('piko_lane').set({ open_until: now, next_at: now }).execute()
    expect((await app.waitFor(runId)).state).toBe('succeeded')
    expect(told.slice(1)).toEqual([['broken', 'api.test']])
    await eventually(async () => expect((await app.metrics()).body).not.toContain('piko_lane_open{'))
    expect((await app.items.lanes())[0]).toMatchObject({ name: 'api.test', state: 'idle' })
  })
})

describeSqlite((store) => {
  it('emits the progress of a crawl with its steps and reasons each second, and measures its hosts', async () => {
    await store.empty()
    await using site = await fixtureSite({ '/': { links: ['/a', '/a', '/slow'] }, '/a': 'a', '/slow': 'slow' })
    const held = Promise.withResolvers<void>()
    const crawl = defineCrawl({
      id: 'told',
      ...LOCAL,
      follow: { within: 'host' },
      seeds: [{ url: `${site.origin}/`, step: 'list' }],
      steps: {
        list: (page, ctx) =>
          ctx.follow(
            ['/a', '/a', '/slow'].map((path) => ({ url: `${page.url.slice(0, -1)}${path}`, step: 'page' as const })),
          ),
        page: (page) => (page.text() === 'slow' ? held.promise : undefined),
      },
    })
    const app = await startApp(store.options, crawl)
    let last: EventMap['crawl.progress'] | undefined
    app.events.on('crawl.progress', (progress) => (last = progress))
    const runId = await app.enqueue('told')
    await eventually(() =>
      expect(last).toMatchObject({
        ...{ runId, jobId: 'told', total: 3, done: 2, running: 1, duplicates: 1, reasons: {} },
        steps: { list: { total: 1, done: 1, open: 0 }, page: { total: 2, done: 1, open: 1 } },
      }),
    )
    await eventually(async () => {
      const [lane] = await app.crawls.lanes()
      expect(lane?.perSecond).toBeGreaterThan(0)
      expect(lane?.p95Ms).toBeGreaterThanOrEqual(0)
    })
    held.resolve()
    expect((await app.waitFor(runId)).state).toBe('succeeded')
  })

  it('closes what crawls load with once, when the last app that uses it stops, also after a failed start', async () => {
    await store.empty()
    await using site = await fixtureSite({ '/': 'page' })
    const own = new Counted('own')
    const shared = new Counted('shared')
    const crawls = ['one', 'two'].map((id) =>
      defineCrawl({
        ...{ id, ...LOCAL, seeds: [`${site.origin}/`] },
        downloaders: { shared, ...(id === 'one' && { own, again: own }) },
        steps: { page: { downloader: id === 'one' ? 'own' : 'shared', parse: () => undefined } },
      }),
    )
    const run = async (app: Piko): Promise<void> => {
      for (const id of ['one', 'two']) await app.run(id, { wait: true })
    }
    const first = await startApp(store.options, crawls)
    await run(first)
    const second = await startApp(store.options, crawls)
    await run(second)
    await first.stop()
    expect([own.closed, shared.closed]).toEqual([0, 0])
    await second.stop()
    expect([own.closed, shared.closed]).toEqual([1, 1])
    const third = await startApp(store.options, crawls, { stopMayFail: true })
    await run(third)
    own.error = new Error('stuck')
    await expect(third.stop()).rejects.toMatchObject({
      code: 'CRAWL_FAILED',
      message: expect.stringContaining('stuck') as string,
    })
    expect([own.closed, shared.closed]).toEqual([2, 2])

    // A service that starts after them fails.
    const closed: string[] = []
    const held = crawls.map((crawl): JobDefinition => {
      const close = (): Promise<void> => Promise.resolve(void closed.push(crawl.id))
      return { ...crawl, extension: { keepOpen: () => close, trial: () => Promise.reject(new Error('unused')) } }
    })
    const root = new Root()
    root.addChild(new OpenExtensions(held))
    root.addChild(new Failing())
    await expect(root.start()).rejects.toThrow('no port')
    expect(closed).toEqual(['one', 'two'])
  })
})

class Root extends Service {}
class Failing extends Service {
  protected override onStart(): void {
    throw new Error('no port')
  }
}

class Counted implements Downloader {
  readonly name: string
  downloads = 0
  closed = 0
  error: Error | undefined

  constructor(name: string) {
    this.name = name
  }

  download(): Promise<Answer> {
    this.downloads += 1
    const bytes = Buffer.from('page')
    return Promise.resolve({ url: 'http://site.test/', status: 200, headers: {}, bytes, ms: 1, isCached: false })
  }

  close(): Promise<void> {
    this.closed += 1
    return this.error ? Promise.reject(this.error) : Promise.resolve()
  }
}

it('a middleware that forgets to return its page fails the page with a message that says so', async () => {
  const crawl = defineCrawl({
    id: 'forgetful',
    use: [async (request, next) => void (await next(request)) as never],
    retry: { parse: 0 },
    seeds: ['https://shop.test/'],
    steps: { page: () => {} },
  })
  const { items } = await testCrawl(crawl, { pages: { 'https://shop.test/': 'x' } })
  expect(items[0]?.error).toContain('a middleware in `use` returned undefined; expected a page')
})
