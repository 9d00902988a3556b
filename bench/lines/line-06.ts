import { setTimeout as sleep } from 'node:timers/promises'
import { Sink, type SinkBatch, type SinkEnv, type SinkScope, sqlTable } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { z } from 'zod'
import { atLeast, equal } from './finding.ts'
import type { Line } from './line.ts'
import { marked } from './marked.ts'
import { counted } from './scene.ts'

interface Options {
  readonly origin: string
}

const DAYS = 31
const PER_DAY = 20
const STOP_MS = 60_000
/** Whatever a node has under way when it wakes up is over by then. */
const SETTLE_MS = 10_000

const Price = z.object({ id: z.int(), version: z.int(), pid: z.int() })
const table = sqlTable<z.infer<typeof Price>>({ name: 'price', model: Price, key: ['id'], fenceColumn: 'fence' })

class Prices extends Sink {
  override open(env: SinkEnv): Promise<void> {
    return table.open(env, { create: true })
  }

  prices(rows: z.infer<typeof Price>[], batch: SinkBatch): Promise<void> {
    return table.merge(batch, rows)
  }

  override clear(scope: SinkScope): Promise<void> {
    return table.clear(scope)
  }
}
marked(Prices, 'prices', Price)

/** Half of the pages of a day are committed with a row of `committed`, which no key protects. */
export const line: Line<Options> = {
  what: 'a month by a backfill, four days at a time; a node is stopped by SIGSTOP for 60 s, and writes nothing afterwards',
  crawl: ({ origin }) =>
    defineCrawl({
      id: 'month',
      cron: '0 0 * * *',
      windows: { start: '2026-03-01T00:00:00Z', end: '2026-04-01T00:00:00Z', catchUp: 'none' },
      sinks: { prices: Prices },
      robots: false,
      hosts: { '*': { parallel: 16 } },
      limits: { private: true },
      seeds: function* ({ window }) {
        yield { url: `${origin}/${window.start.toISOString().slice(0, 10)}`, step: 'list' }
      },
      steps: {
        list: (page, ctx) => ctx.follow(page.links().map((url) => ({ url, step: 'detail' }) as const)),
        detail: async (page, ctx) => {
          const { id, version } = page.json(z.object({ id: z.int(), version: z.int() }))
          await ctx.sinks.prices.write(Price, { id, version, pid: process.pid })
          if (id % 2 === 0)
            await ctx.commit((trx) =>
              trx.exec('INSERT INTO committed (run_id, id, version) VALUES (?, ?, ?)', [ctx.runId, id, version]),
            )
        },
      },
    }),
  async check(scene) {
    let version = 0
    const site = await scene.site(({ path }) => {
      const [, day, id] = path.split('/')
      if (id === undefined) return { links: Array.from({ length: PER_DAY }, (_, n) => `/${day}/${n}`) }
      version += 1
      return { body: { id: Number(id), version }, delay: '200ms' }
    })
    const options = { origin: site.origin }
    const app = await scene.client(options)
    await app.sql.exec('CREATE TABLE committed (run_id BIGINT, id INT, version INT)')
    const [stopped] = await scene.nodes(scene.count(2), options)
    const march = { from: '2026-03-01', to: '2026-04-01', parallel: 4 } as const
    const backfill = await app.backfills.create('month', march)
    const rows = (): Promise<Record<string, unknown>[]> =>
      app.sql.query('SELECT window_start, id, version, pid, fence FROM price ORDER BY window_start, id')
    const commits = (): Promise<Record<string, unknown>[]> =>
      app.sql.query('SELECT run_id, id, version FROM committed ORDER BY run_id, id, version')
    const underWay = (): Promise<number> =>
      counted(
        app,
        "SELECT COUNT(*) AS n FROM piko_item WHERE state = 'running' AND node_id IN (SELECT id FROM piko_node WHERE pid = ?)",
        [stopped?.pid ?? 0],
      )
    await scene.until('a tenth of the pages', async () => {
      const committed = await counted(app, 'SELECT COUNT(*) AS n FROM committed').catch(() => 0)
      return committed > (DAYS * PER_DAY) / 20 && (await underWay()) >= 4
    })
    stopped?.signal('SIGSTOP')
    const held = await underWay()
    scene.say(`stopped with ${held} pages under way`)
    const since = performance.now()
    let before: unknown
    // An embedded file has no other node that could go on.
    if (scene.store === 'mysql') {
      await app.backfills.wait(backfill.id)
      scene.say('the other node has crawled the month')
      before = [await rows(), await commits()]
    }
    await sleep(Math.max(0, STOP_MS - (performance.now() - since)))
    stopped?.signal('SIGCONT')
    const { state } = await app.backfills.wait(backfill.id)
    if (scene.store === 'mysql') await sleep(SETTLE_MS)
    const after = [await rows(), await commits()] as const
    const once = new Set(after[1].map(({ run_id, id }) => JSON.stringify([run_id, id])))
    const again = await app.backfills.create('month', { from: '2026-03-02', to: '2026-03-03', only: 'all' })
    await app.backfills.wait(again.id)
    const day = (all: readonly Record<string, unknown>[]) => all.slice(PER_DAY, 2 * PER_DAY)
    const [old, fresh] = [day(after[0]), day(await rows())]
    return [
      equal('state of the backfill', state, 'succeeded'),
      atLeast('pages under way when the node was stopped', held, 1),
      ...(before === undefined
        ? []
        : [
            equal('whether rows are the same after it woke up', JSON.stringify(after) === JSON.stringify(before), true),
          ]),
      equal(
        'rows, committed rows, of different pages',
        [after[0].length, after[1].length, once.size],
        [DAYS * PER_DAY, (DAYS * PER_DAY) / 2, (DAYS * PER_DAY) / 2],
      ),
      equal(
        'rows of the day that was crawled again',
        [fresh.length, fresh.map(({ id }) => Number(id))],
        [PER_DAY, old.map(({ id }) => Number(id))],
      ),
      equal(
        'whether their fences are larger',
        fresh.every(({ fence }, index) => Number(fence) > Number(old[index]?.['fence'])),
        true,
      ),
      equal('rows of the month then', (await rows()).length, DAYS * PER_DAY),
    ]
  },
}
