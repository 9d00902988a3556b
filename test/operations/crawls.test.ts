import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { z } from 'zod'
import { defineCrawl, socket } from '../../src/crawl/index.ts'
import { defineResource, defineSink } from '../../src/index.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore, describeSqlite } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const LOCAL = {
  robots: false,
  limits: { private: true },
  retry: { parse: { limit: 0 }, server: { limit: 0 } },
} as const

describeEachStore((store) => {
  it('shows a crawl by its run or its id, lists its dead pages, and parses them again without a request', async () => {
    await store.empty()
    await using site = await fixtureSite({
      '/': { links: ['/p/1', '/p/2?b=1&a=2', '/p/2?a=2&b=1', '/gone', '/skipped'] },
      '/p/1': 'one',
      '/p/2?b=1&a=2': 'two',
      '/skipped': 'empty',
    })
    let isBroken = true
    const shop = defineCrawl({
      id: 'shop',
      ...LOCAL,
      seeds: [{ url: `${site.origin}/`, step: 'list' }],
      steps: {
        list: (page, ctx) => ctx.follow(page.links().map((url) => ({ url, step: 'detail' as const }))),
        detail: (page, ctx) => {
          if (page.url.endsWith('/skipped')) ctx.skip('empty: nothing to see')
          if (isBroken) throw new TypeError(`no price on ${page.text()}`)
        },
      },
    })
    const app = await startApp(store.options, shop)
    expect((await rejected(app.crawls.status('shop'))).code).toBe('ITEM_UNKNOWN')
    expect((await rejected(app.crawls.status('shoo'))).code).toBe('JOB_UNKNOWN')
    const runId = await app.enqueue('shop')
    expect((await app.waitFor(runId)).state).toBe('failed')

    const host = site.origin.slice('http://'.length)
    const status = await app.crawls.status('shop')
    expect(await app.crawls.status(runId)).toMatchObject({ ...status, perSecond: expect.any(Number) as number })
    expect(status).toMatchObject({
      ...{ runId, jobId: 'shop', state: 'failed', isSeeded: true, total: 5, done: 1, dead: 3, queued: 0, running: 0 },
      skipped: { empty: 1, duplicate: 1 },
      steps: {
        list: { total: 1, open: 0, done: 1 },
        detail: { total: 4, open: 0, dead: 3, skipped: 1, duplicates: 1 },
      },
    })
    const { pages } = await app.crawls.dead(shop, { step: 'detail', host })
    expect(
      pages.map(({ request, reason, hasKept, error }) => [request.split('/').at(-1), reason, hasKept, error?.message]),
    ).toEqual(
      expect.arrayContaining([
        ['1', 'parse', true, 'TypeError: no price on one'],
        ['2?a=2&b=1', 'parse', true, 'TypeError: no price on two'],
        ['gone', 'client', true, expect.stringContaining('404') as string],
      ]),
    )
    const first = await app.crawls.items(runId, { limit: 2 })
    expect([first.pages.length, first.next]).toEqual([2, first.pages[1]?.id])
    expect((await rejected(app.crawls.items(runId, { kind: 'detail' } as never))).code).toBe('USAGE')

    expect(await app.crawls.lanes()).toMatchObject([{ name: host, scope: 'crawl', state: 'idle', queued: 0 }])
    await app.crawls.pause(host)
    expect(await app.crawls.lanes()).toMatchObject([{ state: 'paused' }])
    expect((await rejected(app.crawls.pause('nowhere'))).code).toBe('ITEM_UNKNOWN')
    await app.crawls.resume(host)

    isBroken = false
    const sent = site.requests.length
    expect(await app.crawls.replay('shop', { step: 'list' })).toEqual({ pages: 0, runs: [], refused: [] })
    const [gone] = pages.filter(({ reason }) => reason === 'client')
    const ids = pages.map(({ id }) => id).filter((id) => id !== gone?.id)
    expect(await app.crawls.replay('shop', { ids })).toEqual({ pages: 2, runs: [runId], refused: [] })
    expect((await app.waitFor(runId)).state).toBe('failed')
    expect([(await app.crawls.status(runId)).dead, site.requests.length]).toEqual([1, sent])
    expect((await rejected(app.crawls.replay(999))).code).toBe('RUN_UNKNOWN')
  })

  it('tries a page as a run would load it, and stores nothing', async () => {
    await store.empty()
    const { sql } = await store.open()
    await sql.exec('DROP TABLE IF EXISTS tried')
    await sql.exec('CREATE TABLE tried (n BIGINT)')
    await using site = await fixtureSite({
      '/p/1':
        '<a href="/p/2?b=1&a=2#x">2</a><a href="/p/2?a=2&b=1">2</a><a href="https://other.test/">o</a><a href="/p/1">self</a>',
      '/broken': 'broken',
      '/wrong': 'wrong',
      '/busy': { status: 503, headers: { 'retry-after': '7' } },
    })
    const Price = z.object({ id: z.string(), amount: z.number() })
    const delivered: unknown[] = []
    const Prices = defineSink({ name: 'Prices', on: [[Price, (rows) => void delivered.push(...rows)]] })
    const outcomes: boolean[] = []
    const Pool = defineResource({
      name: 'Pool',
      size: 1,
      acquire: async function* () {
        let isDone = false
        try {
          yield { name: 'pool' }
          isDone = true
        } finally {
          outcomes.push(isDone)
        }
      },
    })
    const shop = defineCrawl({
      id: 'shop',
      ...LOCAL,
      config: z.object({ amount: z.number().default(1) }),
      windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z', grid: '0 0 * * *', catchUp: 'none' },
      follow: { within: 'host', exclude: [/never/] },
      resources: { pool: Pool },
      sinks: { prices: Prices },
      seeds: [],
      steps: {
        list: () => undefined,
        detail: async (page, ctx) => {
          if (page.url.endsWith('/broken')) throw new TypeError('no price')
          const amount = page.url.endsWith('/wrong') ? 'much' : ctx.config.amount
          await ctx.sinks.prices.write(Price, { id: ctx.resources.pool.name, amount: amount as number })
          ctx.follow([...page.links().map((url) => ({ url })), { url: '/never' }, { url: `/${'x'.repeat(9_000)}` }])
          await ctx.commit((trx) => trx.exec('INSERT INTO tried (n) VALUES (?)', [ctx.window.start.getTime()]))
        },
      },
    })
    const app = await startApp(store.options, shop)
    const at = (path: string) => ({ url: `${site.origin}${path}`, step: 'detail' })
    const page = await app.crawls.try(shop, at('/p/1'), { config: { amount: 4 } })
    expect(page).toMatchObject({
      ...{ crawl: 'shop', step: 'detail', request: `GET ${site.origin}/p/1`, outcome: 'done', error: undefined },
      answer: { status: 200, type: expect.stringContaining('text/html') as string, isCached: false },
      rows: { prices: { count: 1, rows: [{ id: 'pool', amount: 4 }] } },
      followed: 6,
    })
    expect(page.follows.map(({ request, left }) => [request.replace(site.origin, '').slice(0, 17), left])).toEqual([
      ['GET /p/2?a=2&b=1', undefined],
      ['GET /p/2?a=2&b=1', 'duplicate'],
      ['GET https://other', 'host'],
      ['GET /p/1', 'duplicate'],
      ['GET /never', 'pattern'],
      [`/${'x'.repeat(16)}`, 'length'],
    ])

    const broken = await app.crawls.try('shop', at('/broken'))
    expect(broken).toMatchObject({ outcome: 'failed', class: 'parse', answer: { status: 200 }, againInMs: undefined })
    expect(broken.error?.place).toMatch(/crawls\.test\.ts:\d+:\d+$/)
    expect(await app.crawls.try('shop', at('/wrong'))).toMatchObject({
      ...{ outcome: 'failed', class: 'parse', rows: { prices: { count: 0 } } },
      error: { message: expect.stringContaining('amount') as string },
    })
    expect(await app.crawls.try('shop', at('/busy'))).toMatchObject({
      ...{ outcome: 'failed', class: 'throttled', answer: { status: 503 }, againInMs: 7_000 },
    })
    expect((await rejected(app.crawls.try('shop', site.origin))).message).toContain('step is missing')
    expect((await rejected(app.crawls.try('shop', at('/p/1'), { config: { amount: 'x' } }))).code).toBe(
      'CONFIG_INVALID',
    )
    const stopped = new AbortController()
    stopped.abort(new Error('enough'))
    await expect(app.crawls.try('shop', at('/p/1'), { signal: stopped.signal })).rejects.toThrow('enough')

    expect(outcomes).toEqual(outcomes.map(() => false))
    expect([outcomes.length > 0, delivered]).toEqual([true, []])
    const tables = ['tried', 'piko_item', 'piko_run', 'piko_lane', 'piko_item_state', 'piko_lane_note']
    for (const table of tables) expect([table, await sql.query(`SELECT * FROM ${table}`)]).toEqual([table, []])
  })
})

describeSqlite((store) => {
  it('tries a stream of messages: the first ten, and closes its connection', async () => {
    await store.empty()
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const heard: string[] = []
    server.on('connection', (client) => {
      client.on('message', (data: Buffer) => {
        heard.push(data.toString())
        for (let n = 1; n <= 50; n++) client.send(JSON.stringify({ n }))
      })
    })
    const Message = z.object({ n: z.number() })
    const delivered: unknown[] = []
    const Messages = defineSink({ name: 'Messages', on: [[Message, (rows) => void delivered.push(...rows)]] })
    const feed = defineCrawl({
      id: 'feed',
      ...LOCAL,
      sinks: { messages: Messages },
      seeds: [],
      steps: {
        message: {
          downloader: socket({ send: ['{"subscribe":"px"}'], until: { messages: 50 } }),
          parse: async (page, ctx) => ctx.sinks.messages.write(Message, page.json(Message)),
        },
      },
    })
    const app = await startApp(store.options, feed)
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/px`
    const tried = await app.crawls.try(feed, url)
    expect(tried).toMatchObject({ outcome: 'done', error: undefined, rows: { messages: { count: 10 } } })
    expect(tried.rows['messages']?.rows[9]).toEqual({ n: 10 })
    expect([heard, delivered]).toEqual([['{"subscribe":"px"}'], []])
    await expect.poll(() => server.clients.size).toBe(0)
    const refused = await app.crawls.try(feed, 'ws://127.0.0.1:1/px')
    expect(refused).toMatchObject({ outcome: 'failed', class: 'network', rows: { messages: { count: 0 } } })
  })

  it('tries only crawls', async () => {
    await store.empty()
    const { defineJob } = await import('../../src/index.ts')
    const app = await startApp(
      store.options,
      defineJob({ id: 'plain' }, () => {}),
    )
    expect((await rejected(app.crawls.try('plain', 'http://site.test/'))).message).toContain('is not a crawl')
    expect((await rejected(app.crawls.try('none', 'http://site.test/'))).code).toBe('JOB_UNKNOWN')
  })
})
