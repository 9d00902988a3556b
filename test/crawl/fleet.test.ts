import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineCrawl } from '../../src/crawl/index.ts'
import type { JobDefinition, Piko } from '../../src/index.ts'
import type { FixtureGraph } from '../../src/testing/site/fixture-types.ts'
import { eventually, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { serve } from './fetch/fetching.ts'

const LOCAL = { robots: false, limits: { private: true } } as const
const PASSWORD = 'geheim-4711'

/** The ways in which an answer is too much, in a site that a crawl reaches by a proxy. */
const HOSTILE: FixtureGraph = {
  '/fine': 'fine',
  '/endless': {
    respond: (_request, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write(Buffer.alloc(65_536)), 1)
      response.once('close', () => clearInterval(timer))
    },
  },
  '/slow': {
    respond: (_request, response) => {
      const { socket } = response
      const timer = setInterval(() => socket?.write('H'), 50)
      socket?.once('close', () => clearInterval(timer))
    },
  },
  '/redirect': { redirect: 'http://127.0.0.1:9/secret' },
  '/file': { redirect: 'file:///etc/passwd' },
}

/** A forwarding proxy, which may send all hosts to one. */
async function proxyTo(origin: string | undefined, fails: () => boolean = () => false): Promise<string> {
  const server = createServer((request, response) => {
    if (fails()) return void response.socket?.destroy()
    const { pathname, search, origin: asked } = new URL(request.url ?? '', 'http://proxy.test')
    const onward = httpRequest(`${origin ?? asked}${pathname}${search}`, { headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    response.once('close', () => onward.destroy())
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://user:${PASSWORD}@127.0.0.1:${(server.address() as AddressInfo).port}`
}

describeEachStore((store) => {
  beforeEach(() => store.empty())

  /** Runs a job on nodes in this process. */
  async function onNodes(
    count: number,
    make: () => JobDefinition,
  ): Promise<{ readonly app: Piko; readonly runId: number }> {
    const nodes: Piko[] = []
    for (let node = 0; node < count; node++) nodes.push(await startApp(store.options, make()))
    const [app] = nodes
    if (!app) throw new Error('no node')
    return { app, runId: await app.enqueue(make().id) }
  }

  it('never has more requests open at a host than are allowed, over all nodes', async () => {
    const site = await serve(() => ({ body: 'page', delay: '10ms' }))
    const { app, runId } = await onNodes(2, () =>
      defineCrawl({
        id: 'paced',
        ...LOCAL,
        hosts: { '*': { parallel: 3 } },
        seeds: Array.from({ length: 60 }, (_, n) => site.url(`/${n}`)),
        steps: { page: () => {} },
      }),
    )
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    expect(site.mostOpen).toBeLessThanOrEqual(3)
    expect(site.requests).toHaveLength(60)
  })

  it('keeps the rate of a host although a middleware holds its pages back, and counts redirects', async () => {
    const periodMs = 1_000
    const site = await serve(({ path }) => (path.startsWith('/from') ? { redirect: `/to${path}` } : 'page'))
    const all = Promise.withResolvers<void>()
    let waiting = 0
    const { app, runId } = await onNodes(1, () =>
      defineCrawl({
        id: 'held',
        ...LOCAL,
        hosts: { '*': { rate: `5/${periodMs}ms` } },
        seeds: Array.from({ length: 7 }, (_, n) => site.url(n === 0 ? '/from' : `/${n}`)),
        use: [
          async (request, next) => {
            if (++waiting === 6) all.resolve()
            await all.promise
            return next(request)
          },
        ],
        steps: { page: () => {} },
      }),
    )
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    const instants = site.requests.map(({ at }) => at).toSorted((one, other) => one - other)
    expect(instants).toHaveLength(8)
    // The rate counts when requests are sent. On a busy machine, a first request arrives later than one on an open connection.
    const spanMs = periodMs - 300
    const inSpan = (from: number): number => instants.filter((at) => at >= from && at < from + spanMs).length
    expect(Math.max(...instants.map(inSpan))).toBeLessThanOrEqual(5)
  })

  it('fails at once for a wrong seed, which it names, and says how long a host took to fail', async () => {
    const site = await serve(() => ({ status: 500, delay: '50ms' }))
    const wrong = defineCrawl({
      id: 'wrong',
      ...LOCAL,
      seeds: [site.url('/1'), { url: site.url('/2'), method: 'GET', body: 'x' }],
      steps: { page: () => {} },
    })
    const failing = defineCrawl({
      id: 'failing',
      ...LOCAL,
      retry: { server: 0 },
      seeds: [site.url('/1')],
      steps: { page: () => {} },
    })
    const app = await startApp(store.options, [wrong, failing])
    const id = await app.enqueue('wrong')
    await app.waitFor(id).catch(() => undefined)
    const run = await app.runs.show(id)
    expect(run).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'USAGE' } })
    expect(run.error?.message).toMatch(/^seed 2: .*body has no effect with method GET/)
    const ended = nextEvent(app, 'item.ended')
    await app.waitFor(await app.enqueue('failing')).catch(() => undefined)
    const { phases } = await ended
    expect(phases?.lane).toBeGreaterThanOrEqual(45)
    expect(phases?.function).toBeLessThan(phases?.lane ?? 0)
  })

  it('leaves a host that fails alone, and continues with another', async () => {
    const failing = await serve(() => ({ status: 503, delay: '10ms' }))
    const other = await serve(() => ({ body: 'page' }))
    const { app, runId } = await onNodes(1, () =>
      defineCrawl({
        id: 'outage',
        ...LOCAL,
        hosts: { '*': { parallel: 8 } },
        retry: { server: { limit: 5, base: '1ms' } },
        seeds: Array.from({ length: 60 }, (_, n) => [failing.url(`/${n}`), other.url(`/${n}`)]).flat(),
        steps: { page: () => {} },
      }),
    )
    await eventually(async () => {
      expect(other.requests).toHaveLength(60)
      expect((await app.items.lanes()).some(({ openUntil }) => openUntil !== undefined)).toBe(true)
    })
    expect(failing.requests.length).toBeGreaterThanOrEqual(10)
    expect(failing.requests.length).toBeLessThanOrEqual(20)
    await app.runs.cancel(runId)
    expect(await app.waitFor(runId)).toMatchObject({ state: 'cancelled' })
  })

  it('replays pages whose step threw without a request, and their window succeeds', async () => {
    const site = await serve(({ path }) => ({ body: { n: Number(path.slice(1)) } }))
    let isFixed = false
    const isBroken = (n: number): boolean => !isFixed && n % 10 < 3
    const crawl = defineCrawl({
      id: 'replayed',
      ...LOCAL,
      cron: '0 0 * * *',
      windows: { start: '2026-03-01T00:00:00Z', end: '2026-03-02T00:00:00Z', catchUp: 'all' },
      retry: { parse: { limit: 1, base: '10ms' } },
      seeds: Array.from({ length: 40 }, (_, n) => site.url(`/${n}`)),
      steps: {
        page: (page) => {
          const n = Number(new URL(page.url).pathname.slice(1))
          if (n % 3 === 0) return void page.json(z.object({ n: z.int().refine((value) => !isBroken(value)) }))
          if (n % 3 === 1) structuredClone(page.bytes, { transfer: [page.bytes.buffer as ArrayBuffer] })
          if (isBroken(n)) throw new TypeError('cannot read')
        },
      },
    })
    const app = await startApp(store.options, crawl)
    const [{ id: runId } = { id: 0 }] = await eventually(async () => {
      const runs = await app.runs.list({ jobId: 'replayed' })
      expect(runs).toHaveLength(1)
      return runs
    })
    expect(await app.waitFor(runId)).toMatchObject({ state: 'failed' })
    expect(await app.items.status(runId)).toMatchObject({ done: 28, dead: 12 })
    isFixed = true
    expect(await app.items.replay(runId)).toEqual({ items: 12 })
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    expect(await app.items.status(runId)).toMatchObject({ done: 40, dead: 0 })
    expect(await app.windows.list('replayed')).toMatchObject([{ state: 'succeeded' }])
    expect(site.requests).toHaveLength(40)
  })

  it('asks robots.txt once, skips what it disallows, and begins no two pages at the same time', async () => {
    const site = await serve(() => 'page', { robots: 'User-agent: *\nDisallow: /private\nCrawl-delay: 0.4' })
    const { app, runId } = await onNodes(2, () =>
      defineCrawl({
        id: 'polite',
        limits: { private: true },
        seeds: Array.from({ length: 4 }, (_, n) => [site.url(`/${n}`), site.url(`/private/${n}`)]).flat(),
        steps: { page: () => {} },
      }),
    )
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    expect(await app.items.status(runId)).toMatchObject({ done: 4, dead: 0, skipped: 4, reasons: { robots: 4 } })
    expect(site.count('/robots.txt')).toBe(1)
    const pages = site.requests.filter(({ path }) => path !== '/robots.txt')
    expect(pages.map(({ path }) => path).toSorted()).toEqual(['/0', '/1', '/2', '/3'])
    // The benchmark measures the whole delay; here the machine may be slow.
    const gaps = pages.slice(1).map(({ at }, index) => at - (pages[index]?.at ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThan(200)
  })

  it('logs in once for each session of all nodes, and a 403 costs only its own class', async () => {
    const site = await serve(({ path, count }) =>
      path === '/20' && count === 1 ? { status: 403 } : { body: 'page', login: true },
    )
    const { app, runId } = await onNodes(2, () =>
      defineCrawl({
        id: 'members',
        ...LOCAL,
        retry: { blocked: { limit: 3, base: '1ms' } },
        session: { size: 2, login: (http) => http.post(site.url('/login')) },
        seeds: Array.from({ length: 40 }, (_, n) => site.url(`/${n}`)),
        steps: { page: () => {} },
      }),
    )
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    const { items } = await app.items.list(runId)
    expect(items.filter(({ tries }) => Object.keys(tries).length > 0)).toMatchObject([
      { key: `GET ${site.url('/20')}`, tries: { blocked: 1 } },
    ])
    expect(site.requests.filter(({ status }) => status === 403)).toHaveLength(1)
    // Near the end, the other session may do the rest.
    expect([2, 3]).toContain(site.logins)
  })

  it('comes through bad proxies without a dead page, and stores no password of them', async () => {
    const site = await serve(() => 'page')
    let turn = 0
    const urls = [
      // If the breaker of the host counted the failures of these, it would open.
      ...[9, 11, 13, 15].map((port) => `http://user:${PASSWORD}@127.0.0.1:${port}`),
      await proxyTo(undefined, () => turn++ % 10 < 3),
      await proxyTo(undefined),
    ]
    const { app, runId } = await onNodes(1, () =>
      defineCrawl({
        id: 'proxied',
        ...LOCAL,
        proxies: { urls },
        retry: { network: { limit: 20, base: '1ms' } },
        seeds: Array.from({ length: 40 }, (_, n) => site.url(`/${n}`)),
        steps: { page: () => {} },
      }),
    )
    const opened: string[] = []
    app.events.on('lane.opened', ({ lane }) => opened.push(lane))
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    expect(await app.items.status(runId)).toMatchObject({ done: 40, dead: 0 })
    expect(opened).toEqual([])
    for (const table of ['piko_item', 'piko_lane_note', 'piko_item_score', 'piko_run', 'piko_job'])
      expect(JSON.stringify(await app.sql.query(`SELECT * FROM ${table}`))).not.toContain(PASSWORD)
  })

  it('does not blame a host for a proxy that hangs until the time limit of the step', async () => {
    const site = await serve(() => 'page')
    const hole = createTcpServer((client) => void client.on('error', () => {})).listen(0, '127.0.0.1')
    await once(hole, 'listening')
    onTestFinished(() => void hole.close())
    const urls = [`http://127.0.0.1:${(hole.address() as AddressInfo).port}`, await proxyTo(undefined)]
    const { app, runId } = await onNodes(1, () =>
      defineCrawl({
        id: 'hanging',
        ...LOCAL,
        proxies: { urls },
        retry: { timeout: { limit: 20, base: '1ms' } },
        seeds: Array.from({ length: 12 }, (_, n) => site.url(`/${n}`)),
        steps: { page: { timeout: '1s', parse: () => {} } },
      }),
    )
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    const tries = await app.sql.query('SELECT tries FROM piko_item WHERE tries IS NOT NULL')
    expect(tries.length).toBeGreaterThan(0)
    // The highest bit marks how many outcomes are known; the others are the failures among them.
    const [lane] = await app.sql.query<{ recent: number }>('SELECT recent FROM piko_lane')
    expect(Number(lane?.recent).toString(2)).toMatch(/^10*$/)
  })

  it('ends hostile answers by their class within their limits, also of hosts whose robots.txt is asked', async () => {
    const site = await serve(HOSTILE)
    const proxy = await proxyTo(site.origin)
    const seeds = [
      ...Object.keys(HOSTILE).map((path) => ({
        url: `http://hostile.test${path}`,
        ...(path === '/slow' && { timeout: '2s' as const }),
      })),
      'http://127.0.0.1:9/',
      'file:///etc/passwd',
    ]
    const { app, runId } = await onNodes(1, () =>
      defineCrawl({
        id: 'hostile',
        limits: { bytes: '1MB' },
        proxies: { urls: [proxy] },
        retry: { network: 0 },
        tolerate: { dead: '100%' },
        seeds,
        steps: { page: () => {} },
      }),
    )
    expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    const { items } = await app.items.list(runId)
    const ends = items.map(({ key, state, reason }) => [key.replace('GET ', ''), reason ?? state])
    expect(Object.fromEntries(ends)).toEqual({
      'http://hostile.test/fine': 'done',
      'http://hostile.test/endless': 'size',
      'http://hostile.test/slow': 'network',
      'http://hostile.test/redirect': 'address',
      'http://hostile.test/file': 'address',
      'http://127.0.0.1:9/': 'address',
      'file:///etc/passwd': 'address',
    })
    await expect.poll(() => site.open).toBe(0)
  })
})
