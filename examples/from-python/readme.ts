/**
 * What the README of Python Piko promises, as one program; docs/from-python.md shows the Python code next to it.
 *
 * `node --conditions=piko-source --import tsx examples/from-python/readme.ts`
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, defineResource, defineSink, job, type JobContext, offload, Piko } from 'piko'
import { z } from 'zod'
import * as flights from '../flights.ts'

const shops = new Set<string>()

export class Jobs {
  @job({ id: 'sync', cron: '0 0 1 1 *', misfireGraceTime: '1m', config: z.object({ shop: z.string() }) })
  sync(ctx: JobContext<Record<never, never>, { shop: string }>) {
    shops.add(ctx.config.shop)
  }
}

let borrowed = 0
let most = 0

const Database = defineResource({
  name: 'database',
  size: 50,
  acquire: async function* () {
    most = Math.max(most, ++borrowed)
    try {
      yield { query: (ms: number) => sleep(ms) }
    } finally {
      borrowed--
    }
  },
})
const query = defineJob({ id: 'query', resources: { db: Database } }, (ctx) => ctx.resources.db.query(5))

const threads = offload<typeof flights>(new URL('../flights.ts', import.meta.url))
const parse = defineJob({ id: 'parse' }, async () => (await threads.summarise(flights.FILE)).flights)

const Order = z.object({ id: z.number() })
const Refund = z.object({ orderId: z.number() })
const written = { orders: 0, refunds: 0 }
const Sales = defineSink({
  name: 'sales',
  on: [
    [Order, (rows) => void (written.orders += rows.length)],
    [Refund, (rows) => void (written.refunds += rows.length)],
  ],
})
const sell = defineJob({ id: 'sell', sinks: { sales: Sales } }, async ({ sinks }) => {
  await sinks.sales.write(Order, [{ id: 1 }, { id: 2 }, { id: 3 }])
  await sinks.sales.write(Refund, { orderId: 2 })
})

const days = new Set<string>()
const daily = defineJob(
  {
    id: 'daily',
    cron: '0 0 * * *',
    windows: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z', catchUp: 'all', parallel: 4 },
  },
  (ctx) => void days.add(ctx.window.start.toISOString()),
)

const folder = await mkdtemp(join(tmpdir(), 'piko-readme-'))
const app = new Piko({
  jobs: [Jobs, query, parse, sell, daily],
  settings: {
    piko: { log_level: 'warn', concurrency: 200 },
    mysql: { dsn: '' },
    sqlite: { path: join(folder, 'piko.db') },
  },
})
try {
  await app.start()
  const runs = Array.from({ length: 1_000 }, (_, index) =>
    app.run('sync', { config: { shop: `shop ${index}` }, wait: true }),
  )
  await Promise.all(runs)
  console.log(`runs: ${runs.length} succeeded, ${shops.size} configs`)

  await Promise.all(Array.from({ length: 500 }, () => app.run('query', { wait: true })))
  console.log(`pool: 500 runs, at most ${most} connections, ${borrowed} left`)

  console.log(`cpu: ${String((await app.run('parse', { wait: true })).output)} flights`)

  await app.run('sell', { wait: true })
  console.log(`sink: ${written.orders} orders, ${written.refunds} refund`)

  while ((await app.windows.summary('daily')).counts.succeeded < 31) await sleep(50)
  console.log(`windows: ${days.size} days`)
} finally {
  await app.stop()
  await rm(folder, { recursive: true, force: true })
}
