import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { z } from 'zod'
import { defineCrawl, socket } from '../../src/crawl/index.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore, type TestStore } from '../support/databases.ts'
import { messageOf } from '../../src/errors-read.ts'

const LOCAL = {
  robots: false,
  limits: { private: true },
  retry: { parse: { limit: 1, base: '20ms' } },
} as const

async function statesOf(store: TestStore): Promise<Record<string, unknown>[]> {
  const { sql } = await store.open()
  return sql.query('SELECT state, reason FROM piko_item ORDER BY id')
}

describeEachStore((store) => {
  it('stores each message of a stream that its step commits, once, and continues', async () => {
    await store.empty()
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    onTestFinished(() => server.close())
    server.on('connection', (client) => {
      for (let n = 1; n <= 20; n++) client.send(String(n))
    })
    const { sql } = await store.open()
    await sql.exec('DROP TABLE IF EXISTS crawl_message')
    await sql.exec('CREATE TABLE crawl_message (n INTEGER)')
    let hasFailed = false
    const refusals: string[] = []
    const crawl = defineCrawl({
      id: 'live',
      ...LOCAL,
      seeds: [`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`],
      steps: {
        live: {
          downloader: socket({ until: { messages: 20 } }),
          parse: async (page, ctx) => {
            const n = Number(page.text())
            await ctx.commit((trx) => trx.exec('INSERT INTO crawl_message (n) VALUES (?)', [n]))
            try {
              ctx.follow({ url: 'http://site.test/' })
            } catch (thrown) {
              refusals.push(messageOf(thrown))
            }
            if (n === 7 && !hasFailed) {
              hasFailed = true
              throw new Error('after its commit')
            }
          },
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('live', { wait: true })).state).toBe('succeeded')
    const rows = await sql.query('SELECT n FROM crawl_message ORDER BY n')
    expect(rows.map(({ n }) => Number(n))).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    expect(refusals[0]).toContain('ctx.follow was called after ctx.commit')
  })

  it('stores what its step handled before a connection broke, asks for what follows, and breaks as often as it brings some', async () => {
    await store.empty()
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    onTestFinished(() => server.close())
    const asked: number[] = []
    server.on('connection', (client) => {
      client.on('message', (data) => {
        const from = Number((data as Buffer).toString())
        asked.push(from)
        // Each connection breaks after seven messages.
        for (let n = from + 1; n <= from + 7; n++)
          client.send(String(n), n === from + 7 ? () => client.terminate() : undefined)
      })
    })
    const seen: number[] = []
    const crawl = defineCrawl({
      id: 'broken',
      ...LOCAL,
      // Each break fails the page once, but not the one after another: there were messages in between.
      retry: { network: { limit: 1, base: '20ms' } },
      seeds: [`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`],
      steps: {
        live: {
          downloader: socket({ send: (from) => [String(from)], until: { messages: 20 } }),
          parse: (page) => void seen.push(Number(page.text())),
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('broken', { wait: true })).state).toBe('succeeded')
    expect(asked).toEqual([0, 7, 14])
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
  })

  it('keeps the body when a step refuses its JSON or hands its bytes over', async () => {
    await store.empty()
    await using site = await fixtureSite({ '/json': { body: { n: 'one' } }, '/bytes': 'bytes' })
    const sizes: number[] = []
    const crawl = defineCrawl({
      id: 'kept',
      ...LOCAL,
      tolerate: { dead: 2 },
      seeds: [`${site.origin}/json`, `${site.origin}/bytes`],
      steps: {
        page: (page) => {
          if (page.url.endsWith('/json')) return void page.json(z.object({ n: z.number() }))
          sizes.push(page.bytes.byteLength)
          structuredClone(page.bytes, { transfer: [page.bytes.buffer as ArrayBuffer] })
          throw new Error('no')
        },
      },
    })
    const app = await startApp(store.options, crawl)
    await app.run('kept', { wait: true })
    expect(await statesOf(store)).toEqual(Array.from({ length: 2 }, () => ({ state: 'dead', reason: 'parse' })))
    expect(site.requests).toHaveLength(2)
    expect(sizes).toEqual([5, 5])
  })

  it('stores what a request changed in its session with a commit, and waits for a session at no cost', async () => {
    await store.empty()
    const seen: (string | undefined)[] = []
    await using site = await fixtureSite(({ path, headers }) => {
      seen.push(headers['cookie'])
      return { body: path, headers: { 'set-cookie': `token=${path.slice(1)}; Path=/` } }
    })
    const crawl = defineCrawl({
      id: 'held',
      ...LOCAL,
      retry: { parse: 0 },
      session: { size: 1, wait: '10ms' },
      seeds: ['a', 'b', 'c'].map((path) => `${site.origin}/${path}`),
      steps: {
        page: async (_page, ctx) => {
          await new Promise((resolve) => setTimeout(resolve, 100))
          await ctx.commit(async () => {})
        },
      },
    })
    const app = await startApp(store.options, crawl)
    expect((await app.run('held', { wait: true })).state).toBe('succeeded')
    expect(await statesOf(store)).toEqual(Array.from({ length: 3 }, () => ({ state: 'done', reason: null })))
    expect(seen).toHaveLength(3)
    const paths = site.requests.map(({ path }) => path.slice(1))
    expect(seen).toEqual([undefined, `token=${paths[0]}`, `token=${paths[1]}`])
  })
})
