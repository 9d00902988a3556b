import { monitorEventLoopDelay } from 'node:perf_hooks'
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import type { Format, OrderRow } from './parse-rows.ts'
import { closeOffload, defineJob, defineSink, file, offload, offloadPool, Piko, sqlTable } from 'piko'

/** One measurement, in a process of its own. Prints its figures as JSON. */

const RESOLUTION_MS = 1
const MEMORY = '48MB'

const [system = '', path = '', format = 'ndjson'] = process.argv.slice(2) as [string?, string?, Format?]
const size = statSync(path).size

async function bare(): Promise<number> {
  const worker = new Worker(new URL('bare-stream-worker.mjs', import.meta.url), {
    workerData: { path, format },
    resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 12 },
  })
  let rows = 0
  for await (const batch of messages(worker)) {
    for (const row of batch) if (row.id >= 0) rows++
    worker.postMessage('more')
  }
  return rows
}

async function* messages(worker: Worker): AsyncGenerator<readonly OrderRow[], void, undefined> {
  const queue: (readonly OrderRow[] | undefined)[] = []
  let wake = (): void => {}
  worker.on('message', (batch: readonly OrderRow[] | undefined) => {
    queue.push(batch)
    wake()
  })
  for (;;) {
    while (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    const batch = queue.shift()
    if (batch === undefined) return
    yield batch
  }
}

const pool = offloadPool({ name: 'rows', size: 1, memory: MEMORY })
const parsing = offload<typeof import('./parse-rows.ts')>(new URL('parse-rows.mjs', import.meta.url), { pool })

async function counted(): Promise<number> {
  let rows = 0
  for await (const row of parsing.rows(file(path), format, size)) if (row.id >= 0) rows++
  return rows
}

async function batched(): Promise<number> {
  let rows = 0
  for await (const batch of parsing.batches(file(path), format, size)) for (const row of batch) if (row.id >= 0) rows++
  return rows
}

const Order = z.object({
  id: z.number(),
  shop: z.string(),
  at: z.string(),
  product: z.string(),
  amount: z.number(),
  note: z.string(),
})
type Order = z.infer<typeof Order>

/** A run whose rows go through a sink into a table of the embedded database. */
async function stored(): Promise<number> {
  let rows = 0
  let reports = 0
  const columns = ['id', 'shop', 'at', 'product', 'amount', 'note'] as const
  const table = sqlTable<Order>({ name: 'orders', columns, windowColumn: null })
  const Orders = defineSink({
    name: 'orders',
    open: ({ sql }) =>
      sql.exec(
        `CREATE TABLE orders (id BIGINT PRIMARY KEY, shop VARCHAR(20), at VARCHAR(30), product VARCHAR(40), amount REAL,
          note VARCHAR(200))`,
      ),
    on: [[Order, (orders, batch) => table.upsert(batch, orders, ['id'])]],
  })
  const load = defineJob({ id: 'load', sinks: { orders: Orders } }, async (ctx) => {
    for await (const batch of parsing.batches(file(path), format, size)) {
      await ctx.sinks.orders.write(Order, batch)
      rows += batch.length
    }
  })
  const app = new Piko({ jobs: [load], settings: { sqlite: { path: `${path}.db` }, piko: { log_level: 'error' } } })
  app.events.on('run.progress', () => reports++)
  await app.start()
  await app.run('load', { wait: true })
  await app.stop()
  if (reports < 2) throw new Error(`the run reported its progress ${reports} times`)
  return rows
}

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
const began = performance.now()
let peak = 0
const look = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50)
delay.enable()
const rows = await { bare, counted, batched, stored }[system]!()
delay.disable()
clearInterval(look)
const seconds = (performance.now() - began) / 1_000
await closeOffload()
const beyond = (ns: number): number => Math.round(Math.max(0, ns / 1e6 - RESOLUTION_MS) * 10) / 10
console.log(
  JSON.stringify({
    system,
    format,
    rows,
    seconds: Math.round(seconds * 10) / 10,
    'rows/s': Math.round(rows / seconds),
    'RSS MB': Math.round(peak / 2 ** 20),
    'loop p99 ms': beyond(delay.percentile(99)),
    'loop max ms': beyond(delay.max),
  }),
)
