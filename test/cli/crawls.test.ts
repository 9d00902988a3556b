import { expect, it } from 'vitest'
import { fixtureSite } from '../../src/testing/index.ts'
import { errorOf, Project } from './project.ts'

const JOBS = `
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { defineSink } from 'piko'
import { defineCrawl } from 'piko/crawl'
const Price = z.object({ id: z.string(), amount: z.number() })
export const shop = defineCrawl({
  id: 'shop', robots: false, limits: { private: true }, retry: { parse: 0, seeds: 0 }, follow: { within: 'host' },
  sinks: { prices: defineSink({ name: 'Prices', on: [[Price, () => {}]] }) },
  seeds: [{ url: process.env.SITE + '/', step: 'list' }],
  steps: {
    list: (page, ctx) => void ctx.follow(page.links().map((url) => ({ url, step: 'detail' }))),
    detail: async (page, ctx) => {
      if (!existsSync('corrected')) throw new TypeError('no price on ' + page.text())
      await ctx.sinks.prices.write(Price, { id: page.text(), amount: 4.5 })
    },
  },
})
`

it('piko crawl: status, dead, items, lanes, pause, replay and try', async () => {
  await using site = await fixtureSite({
    '/': { links: ['/p/1', '/p/2', 'https://other.test/'] },
    '/p/1': 'one',
    '/p/2': 'two',
  })
  const project = new Project({ 'jobs.mjs': JOBS })
  const env = { SITE: site.origin }
  const host = site.origin.slice('http://'.length)
  const piko = (...args: string[]) => project.piko(args, env)
  expect((await piko('run', 'shop')).code).toBe(1)

  const watched = await piko('crawl', 'status', 'shop', '--watch', '--json')
  expect([watched.code, watched.stderr]).toEqual([1, expect.any(String)])
  expect(errorOf(watched).message).toMatch(/^run 1 of crawl "shop" failed with 2 dead pages; piko crawls replay 1 /)
  expect(JSON.parse(watched.stdout)).toMatchObject({ runId: 1, done: 1, dead: 2, steps: { detail: { dead: 2 } } })
  const status = (await piko('crawls', 'status', '1')).stdout
  expect(status).toMatch(
    /^run +1 of shop: failed\npages +█{30} 100 %, 3 of 3\nopen +0 queued, 0 running\nended +1 done, 2 dead/,
  )
  expect(status).toMatch(/\n\nSTEP +OPEN +DONE +DEAD +SKIPPED +MEAN +BYTES\n(?:.*\n)*list +0 +1 +0 +0 /)
  expect((await piko('crawl', 'dead', 'shop')).stdout).toMatch(
    /^PAGE +STEP +REQUEST +CLASS +KEPT +ERROR\n\d+ +detail +GET http:\S+ +parse +response +TypeError: no price on (one|two)\n/,
  )
  expect((await piko('crawl', 'lanes')).stdout).toMatch(/^HOST +STATE +QUEUED +RUNNING +PAGES\/S +95 % +RATE /)
  expect((await piko('crawl', 'pause', host)).stdout).toBe(`${host} paused\n`)
  expect((await piko('crawl', 'resume', host)).stdout).toBe(`${host} resumed\n`)

  const tried = await piko('crawl', 'try', 'shop', `${site.origin}/p/1`, '--step', 'detail')
  expect(tried.code).toBe(1)
  expect(tried.stdout).toMatch(/\nend +failed, class parse: it would be dead\n/)
  expect(tried.stdout).toMatch(/\nTypeError: no price on one\n {2}at \S+jobs\.mjs:\d+:\d+\n/)
  project.write('corrected', '')
  const list = await piko('crawl', 'try', 'shop', `${site.origin}/`, '--step', 'list')
  expect([list.code, list.stdout]).toEqual([
    0,
    expect.stringMatching(/3 requests followed, 1 left out\nSTEP +REQUEST +LEFT OUT\n/),
  ])
  expect(list.stdout).toMatch(/\ndetail +GET https:\/\/other\.test\/ +host\n?/)
  const rows = await piko('crawl', 'try', 'shop', `${site.origin}/p/2`, '--step', 'detail', '--json')
  expect(JSON.parse(rows.stdout)).toMatchObject({
    ...{ outcome: 'done', answer: { status: 200, bytes: 3 } },
    rows: { prices: { count: 1, rows: [{ id: 'two', amount: 4.5 }] } },
  })
  expect(errorOf(await piko('crawl', 'try', 'shop', site.origin, '--json')).message).toContain('step is missing')

  const sent = site.requests.length
  expect((await piko('crawl', 'replay', 'shop')).stdout).toBe('2 pages queued again\n')
  expect((await piko('crawl', 'items', 'shop', '--state', 'queued', '--limit', '1')).stdout).toMatch(
    /\nmore: --after \d+\n$/,
  )
  const node = project.start(['start', '--json'], env)
  const again = await piko('crawl', 'status', '1', '--watch')
  expect(again.code).toBe(0)
  expect(again.stdout).toMatch(
    /succeeded: 3 of 3 pages, 0 queued, 0 running, 0 dead, .*\n\nrun +1 of shop: succeeded\n/,
  )
  expect(site.requests.length).toBe(sent)
  node.kill('SIGTERM')
  await node.ended
})
