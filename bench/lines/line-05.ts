import { offload, Sink, type SinkBatch, type SinkEnv, type SinkScope, sqlTable } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { z } from 'zod'
import { equal } from './finding.ts'
import type { Line } from './line.ts'
import { marked } from './marked.ts'
import { isBroken } from './parse-bytes.ts'
import { counted } from './scene.ts'

interface Options {
  readonly origin: string
  readonly isFixed: boolean
}

const PAGES = 1_000
const DEAD = 300
const parsing = offload<typeof import('./parse-bytes.ts')>(new URL('./parse-bytes.ts', import.meta.url))

const Row = z.object({ n: z.int() })
const table = sqlTable<z.infer<typeof Row>>({ name: 'replayed', model: Row, key: ['n'], fenceColumn: 'fence' })

class Rows extends Sink {
  override open(env: SinkEnv): Promise<void> {
    return table.open(env, { create: true })
  }

  rows(rows: z.infer<typeof Row>[], batch: SinkBatch): Promise<void> {
    return table.merge(batch, rows)
  }

  override clear(scope: SinkScope): Promise<void> {
    return table.clear(scope)
  }
}
marked(Rows, 'rows', Row)

/** A third of the broken pages is refused by a schema, a third is handed to a thread that throws, and a third throws here. */
export const line: Line<Options> = {
  what: 'a parser throws on 300 of 1,000 pages; corrected, they are replayed without a request and the window succeeds',
  crawl: ({ origin, isFixed }) =>
    defineCrawl({
      id: 'replayed',
      cron: '0 0 * * *',
      windows: { start: '2026-03-01T00:00:00Z', end: '2026-03-02T00:00:00Z', catchUp: 'all' },
      sinks: { rows: Rows },
      robots: false,
      hosts: { '*': { parallel: 32 } },
      limits: { private: true },
      retry: { parse: { limit: 1, base: '100ms' } },
      seeds: Array.from({ length: PAGES }, (_, n) => `${origin}/${n}`),
      steps: {
        page: async (page, ctx) => {
          const n = Number(new URL(page.url).pathname.slice(1))
          if (n % 3 === 0) page.json(z.object({ n: z.int().refine((value) => isFixed || !isBroken(value)) }))
          else if (n % 3 === 1) await parsing.$with({ transfer: [page.bytes] }).numberOf(page.bytes, isFixed)
          else if (!isFixed && isBroken(n)) throw new TypeError('cannot read properties of undefined')
          await ctx.sinks.rows.write(Row, { n })
        },
      },
    }),
  async check(scene) {
    const site = await scene.site(({ path }) => ({ body: { n: Number(path.slice(1)), filler: 'x'.repeat(2_000) } }))
    const broken = { origin: site.origin, isFixed: false }
    const app = await scene.client(broken)
    const nodes = await scene.nodes(2, broken)
    let runId = 0
    await scene.until(
      'the run of the window',
      async () => (runId = (await app.runs.list({ jobId: 'replayed' }))[0]?.id ?? 0) > 0,
    )
    const failed = await app.waitFor(runId)
    const before = await app.items.status(runId)
    const bodies = await counted(
      app,
      "SELECT COUNT(*) AS n FROM piko_item WHERE state = 'dead' AND reason = 'parse' AND kept IS NOT NULL",
    )
    for (const node of nodes) await node.stop()
    const sent = site.requests.length
    await scene.nodes(2, { ...broken, isFixed: true })
    const { items } = await app.items.replay(runId, { state: 'dead' })
    const replayed = await app.waitFor(runId)
    const after = await app.items.status(runId)
    const [window] = await app.windows.list('replayed')
    return [
      equal('requests of the broken crawl', sent, PAGES),
      equal(
        'state, done, dead, dead with bodies',
        [failed.state, before.done, before.dead, bodies],
        ['failed', PAGES - DEAD, DEAD, DEAD],
      ),
      equal('items replayed', items, DEAD),
      equal('requests of the replay', site.requests.length - sent, 0),
      equal('state, done, dead after it', [replayed.state, after.done, after.dead], ['succeeded', PAGES, 0]),
      equal('state of the window', window?.state, 'succeeded'),
      equal('rows', await counted(app, 'SELECT COUNT(DISTINCT n) AS n FROM replayed'), PAGES),
    ]
  },
}
