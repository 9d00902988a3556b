import { defineJob, defineSink, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'
import { BATCH, type Bulk, Order, PAGE, pageOf, tableOf, WINDOW } from './sink-table-rows.ts'

/** One run of one window replaces its rows: each is checked by zod, and fenced transactions write 50,000 of them at a time, in statements of 1,000. */
export default async function sinkTablePiko(config: SystemConfig): Promise<Found> {
  const rows = Number(config['runs'])
  const bulk = String(config['bulk']) as Bulk
  const table = tableOf(bulk)
  const Orders = defineSink({
    name: 'orders',
    batchSize: BATCH,
    on: [[Order, (batchRows, batch) => table.replace(batch, batchRows)]],
    open: (env) => table.open(env, { create: true }),
  })
  let tookMs = 0
  const job = defineJob(
    { id: 'bulk', cron: '0 0 * * *', windows: { ...WINDOW, catchUp: 'none' }, sinks: { orders: Orders } },
    async (ctx) => {
      for (let from = 0; from < rows; from += PAGE) await ctx.sinks.orders.write(Order, pageOf(from))
    },
  )
  const app = new Piko({ jobs: job, settings: { piko: { log_level: 'silent' }, ...storeSettings(config) } })
  await app.start()
  const about = await aboutPiko(app, config)
  const began = performance.now()
  const cpu = process.cpuUsage()
  await app.run('bulk', { window: WINDOW.start, wait: true })
  tookMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  const [stored] = await app.sql.query<{ n: number }>('SELECT COUNT(*) AS n FROM bench_order')
  await app.stop()
  if (Number(stored?.n) !== rows) throw new Error(`${stored?.n} of ${rows} rows are stored`)
  return {
    about,
    values: {
      written: { value: (rows / tookMs) * 1_000, unit: 'rows/s' },
      'CPU of the client': { value: (user + system) / 1_000_000, unit: 's' },
      'peak RSS': { value: process.resourceUsage().maxRSS / 1_024, unit: 'MB' },
    },
    settings: { rows, bulk },
  }
}
