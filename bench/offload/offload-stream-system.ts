import { monitorEventLoopDelay } from 'node:perf_hooks'
import { statSync } from 'node:fs'
import { closeOffload, defineJob, offload, Piko, file } from 'piko'
import { bareLists, bareRows } from './bare-rows.ts'
import { cancelByCli } from './cancel-by-cli.ts'
import { ordersSink, storeOf, type Target } from './order-targets.ts'
import type { Format, OrderRow } from './parse-rows.ts'

/** One measurement, in its own process. Prints its figures as JSON. */

interface Measured {
  readonly rows: number
  readonly cancelled?: { readonly 'cancel ms': number; readonly 'with the CLI ms': number }
}

type System = 'piko' | 'bare'

const RESOLUTION_MS = 1

const [system, target, path, format, store, isCancelled] = process.argv.slice(2) as [
  System,
  Target | 'count' | 'lists',
  string,
  Format,
  string,
  string?,
]
const size = statSync(path).size
/** Compressed bytes of a file say nothing about its rows. */
const total = format === 'csv' ? undefined : size

// The pool of the process, with all its defaults.
const parsing = offload<typeof import('./parse-rows.ts')>(new URL('parse-rows.mjs', import.meta.url))

const rowsOf = (onProgress: (read: number) => void): AsyncIterable<OrderRow> =>
  system === 'bare' ? bareRows(path, format, onProgress) : parsing.rows(file(path), format, total)

const listsOf = (): AsyncIterable<readonly OrderRow[]> =>
  system === 'bare' ? bareLists(path, format, () => {}) : parsing.batches(file(path), format, total)

async function count(): Promise<Measured> {
  let rows = 0
  for await (const row of rowsOf(() => {})) if (row.id >= 0) rows++
  return { rows }
}

async function lists(): Promise<Measured> {
  let rows = 0
  for await (const list of listsOf()) for (const row of list) if (row.id >= 0) rows++
  return { rows }
}

/** A run whose rows go through a sink, one by one. */
async function stored(into: Target): Promise<Measured> {
  let rows = 0
  const { Orders, Order } = ordersSink(into, store)
  const load = defineJob({ id: 'load', sinks: { orders: Orders } }, async (ctx) => {
    for await (const row of rowsOf((read) => ctx.progress(read, total))) {
      await ctx.sinks.orders.write(Order, row)
      rows++
    }
  })
  const settings = storeOf(into, store)
  const app = new Piko({
    jobs: [load],
    settings: {
      ...settings,
      piko: { log_level: 'error', small_heap: process.env['SMALL_HEAP'] !== '0' },
      // A process without others to talk to.
      link: { listen: 'off' },
    },
  })
  const seen: number[] = []
  app.events.on('run.progress', ({ done }) => seen.push(done))
  await app.start()
  begin()
  const cancelled = isCancelled === undefined ? undefined : await cancelByCli(app, settings)
  if (!cancelled) await app.run('load', { wait: true })
  const measured = { rows, ...(cancelled && { cancelled }) }
  end()
  await app.stop()
  // The last report may repeat the one before it.
  const isMoving = new Set(seen).size > 2 && seen.every((done, index) => index === 0 || done >= (seen[index - 1] ?? 0))
  if (!isMoving) throw new Error(`the progress did not move: ${seen.slice(0, 20).join(', ')} … ${seen.at(-1)}`)
  return measured
}

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
let began = 0
let seconds = 0
let peakBytes = 0

function begin(): void {
  began = performance.now()
  delay.enable()
}

function end(): void {
  delay.disable()
  seconds = (performance.now() - began) / 1_000
  peakBytes = process.resourceUsage().maxRSS * 1_024
}

async function measured(): Promise<Measured> {
  if (target !== 'count' && target !== 'lists') return stored(target)
  begin()
  const result = await { count, lists }[target]()
  end()
  return result
}

const { rows, cancelled } = await measured()
await closeOffload()
const beyond = (ns: number): number => Math.round(Math.max(0, ns / 1e6 - RESOLUTION_MS) * 10) / 10
console.log(
  JSON.stringify({
    ...{ format, target, system, rows },
    seconds: Math.round(seconds * 10) / 10,
    'rows/s': Math.round(rows / seconds),
    'RSS MB': Math.round(peakBytes / 1e6),
    'loop p99 ms': beyond(delay.percentile(99)),
    'loop max ms': beyond(delay.max),
    ...cancelled,
  }),
)
