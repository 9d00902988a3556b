import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { browser, defineCrawl } from '../../src/crawl/index.ts'
import { defineSink, Piko } from '../../src/index.ts'
import { fixtureSite } from '../../src/testing/index.ts'

it('tries a page in a browser, and stores nothing', async () => {
  await using site = await fixtureSite({
    '/': { body: '<script>document.title = "made by " + "script"</script>', headers: { 'content-type': 'text/html' } },
  })
  const Title = z.object({ title: z.string() })
  const delivered: unknown[] = []
  const Titles = defineSink({ name: 'Titles', on: [[Title, (rows) => void delivered.push(...rows)]] })
  const crawl = defineCrawl({
    id: 'rendered',
    robots: false,
    limits: { private: true },
    sinks: { titles: Titles },
    seeds: [],
    steps: {
      page: {
        downloader: browser({ size: 1 }),
        parse: async (page, ctx) => ctx.sinks.titles.write(Title, { title: page.html('title').text() }),
      },
    },
  })
  const folder = mkdtempSync(join(tmpdir(), 'piko-try-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const settings = { piko: { log_level: 'silent' }, sqlite: { path: join(folder, 'piko.db') } }
  const app = new Piko({ jobs: [crawl], settings })
  await app.start()
  const tried = await app.crawls.try(crawl, `${site.origin}/`)
  await app.stop()
  expect(tried).toMatchObject({
    ...{ outcome: 'done', error: undefined, answer: { status: 200 } },
    rows: { titles: { count: 1, rows: [{ title: 'made by script' }] } },
  })
  expect(delivered).toEqual([])
})
