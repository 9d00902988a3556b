import { setTimeout as sleep } from 'node:timers/promises'
import { defineSink, Piko, sqlTable } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { z } from 'zod'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'
import { percentile } from '../harness/percentile.ts'
import { spanOf } from './spans.ts'

const Row = z.object({ url: z.string().max(200), round: z.int() })
const table = sqlTable({ name: 'bench_row', model: Row, key: ['round', 'url'], windowColumn: null })
const Rows = defineSink({
  name: 'rows',
  on: [[Row, (rows, batch) => table.upsert(batch, rows)]],
  open: (env) => table.open(env, { create: true }),
})
/** An odd number, so that one is in the middle. */
const ROUNDS = 5
const BODY = new TextEncoder().encode('page')

/**
 * A crawl with two stages: half of the pages are seeds, and each links to one of the other half. Every page takes some milliseconds of I/O,
 * is durable, and writes one row to a table.
 */
export default async function stages(config: SystemConfig): Promise<Found> {
  const { items, workers, ioMs } = config as SystemConfig & Record<'items' | 'workers' | 'ioMs', number>
  const half = items / 2
  let round = 0
  const crawl = defineCrawl({
    id: 'stages',
    seeds: () =>
      Array.from({ length: half }, (_, n) => ({ url: `https://site.test/list/${n}`, step: 'list' as const })),
    robots: false,
    hosts: { '*': {} },
    sinks: { rows: Rows },
    downloaders: {
      slow: {
        name: 'slow',
        download: async ({ url }) => {
          await sleep(ioMs)
          return { url, status: 200, headers: {}, bytes: BODY, ms: ioMs, isCached: false }
        },
      },
    },
    steps: {
      list: {
        downloader: 'slow',
        parse: async (page, ctx) => {
          await ctx.sinks.rows.write(Row, { url: page.url, round })
          ctx.follow({ url: page.url.replace('list', 'detail'), step: 'detail' })
        },
      },
      detail: { downloader: 'slow', parse: (page, ctx) => ctx.sinks.rows.write(Row, { url: page.url, round }) },
    },
  })
  const app = new Piko({
    jobs: crawl,
    settings: { piko: { log_level: 'silent' }, items: { concurrency: workers }, ...storeSettings(config) },
  })
  await app.start()
  const crawled = async (): Promise<{ spanMs: number; publishedMs: number; wholeMs: number }> => {
    round += 1
    const [last] = await app.sql.query<{ id: number | null }>('SELECT MAX(id) AS id FROM piko_item')
    let ended = 0
    let endedAt = 0
    const off = app.events.on('item.ended', () => {
      ended += 1
      endedAt = performance.now()
    })
    const began = performance.now()
    await app.run('stages', { wait: true })
    const wholeMs = performance.now() - began
    off()
    const { ms, done } = await spanOf(app, Number(last?.id ?? 0))
    const [rows] = await app.sql.query<{ n: number }>('SELECT COUNT(*) AS n FROM bench_row WHERE round = ?', [round])
    if (done !== items || ended !== items || Number(rows?.n) !== items)
      throw new Error(`${done} of ${items} items are done, ${ended} ended, with ${rows?.n} rows`)
    return { spanMs: ms, publishedMs: endedAt - began, wholeMs }
  }
  await crawled() // Warms up: opens connections and the table, and compiles code.
  const rounds: Awaited<ReturnType<typeof crawled>>[] = []
  for (let round = 0; round < ROUNDS; round++) rounds.push(await crawled())
  // The round in the middle: the first ones still compile code.
  const [spanMs, publishedMs, wholeMs] = (['spanMs', 'publishedMs', 'wholeMs'] as const).map((name) =>
    percentile(
      rounds.map((each) => each[name]),
      50,
    ),
  ) as [number, number, number]
  const about = await aboutPiko(app, config)
  await app.stop()
  const rate = (ms: number) => ({ value: (items / ms) * 1_000, unit: 'items/s' })
  return {
    about,
    values: {
      items: rate(spanMs),
      'items, storing of the seeds included': rate(publishedMs),
      'items, from request to end of run': rate(wholeMs),
      'share of the maximum': { value: ((items / spanMs) * 1_000 * ioMs * 100) / (workers * 1_000), unit: '%' },
    },
    settings: { items, workers, ioMs },
  }
}
