import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineCrawl, type Page } from '../../src/crawl/index.ts'
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

async function itemsOf(store: TestStore): Promise<StoredItem[]> {
  const { sql } = await store.open()
  return sql.query<StoredItem>('SELECT kind, item_key AS `key`, state, reason FROM piko_item ORDER BY id')
}

describeEachStore((store) => {
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
})
