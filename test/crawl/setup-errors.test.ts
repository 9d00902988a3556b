import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineCrawl } from '../../src/crawl/index.ts'
import { defineSink, PikoError } from '../../src/index.ts'
import { fixtureSite } from '../../src/testing/index.ts'
import { startApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'

describeSqlite((store) => {
  it('tries a page once if its sink or a package is set up wrongly, and a replay needs no other download', async () => {
    await store.open()
    await using site = await fixtureSite({ '/written': 'written', '/parsed': 'parsed' })
    const Row = z.object({ text: z.string() })
    let isWrong = true
    let deliveries = 0
    const rows: string[] = []
    const write = (batch: readonly z.infer<typeof Row>[]): void => {
      deliveries += 1
      if (isWrong) throw new PikoError('SINK_TABLE_INVALID', 'table pages: no column text')
      rows.push(...batch.map(({ text }) => text))
    }
    const crawl = defineCrawl({
      id: 'wrong',
      ...{ robots: false, limits: { private: true } },
      sinks: { pages: defineSink({ name: 'Pages', on: [[Row, write]] }) },
      seeds: ['/written', '/parsed'].map((path) => `${site.origin}${path}`),
      steps: {
        page: async (page, ctx) => {
          if (isWrong && page.text() === 'parsed') throw new PikoError('PACKAGE_MISSING', 'needs the package cheerio')
          await ctx.sinks.pages.write(Row, [{ text: page.text() }])
        },
      },
    })
    const app = await startApp(store.options, crawl)
    const id = await app.enqueue('wrong')
    expect(await app.waitFor(id)).toMatchObject({ state: 'failed' })
    const dead = await app.items.list(id, { state: 'dead' })
    expect(dead.items.map(({ reason, tries }) => [reason, tries])).toEqual([
      ['setup', { setup: 1 }],
      ['setup', { setup: 1 }],
    ])
    expect(deliveries).toBe(1)
    isWrong = false
    await app.crawls.replay('wrong')
    expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
    expect(rows.toSorted()).toEqual(['parsed', 'written'])
    expect(site.requests.length).toBe(2)
  })
})
