/**
 * How long a 10 MB parse keeps the event loop from its other work, on the main thread and offloaded. Run it with `node
 * --conditions=piko-source --import tsx bench/event-loop.ts [parses]`. Prints one JSON line per way, then a line for people.
 *
 * The figures are the loop's delay beyond the sampling interval, in milliseconds. A timer is due every millisecond, and the benchmark
 * measures how late it fires. The idle line shows the delay of a process with nothing to do.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { closeOffload } from '../src/offload/pools.ts'
import { offload } from '../src/offload/offload.ts'
import { type FlightSummary, summarise } from './offload/flights.ts'

const RESOLUTION_MS = 1
const GOAL_P99_MS = 20

const parses = Number(process.argv[2] ?? 20)
const path = fileURLToPath(new URL('../data/flights-200k.json', import.meta.resolve('vega-datasets')))
const parsing = offload<typeof import('./offload/flights.ts')>(new URL('./offload/flights.ts', import.meta.url))

const bytes = await readFile(path)
const expected = summarise(bytes)

interface Measured {
  readonly way: string
  readonly parses: number
  readonly secondsTotal: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

async function measure(way: string, parse: () => Promise<FlightSummary | undefined>): Promise<Measured> {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  const began = performance.now()
  delay.enable()
  for (let index = 0; index < parses; index++) {
    const summary = await parse()
    if (summary !== undefined) assert.deepEqual(summary, expected)
    // Timers get a turn between two parses, as they would between two jobs.
    await sleep(RESOLUTION_MS)
  }
  delay.disable()
  const beyond = (ns: number): number => Math.round(Math.max(0, ns / 1e6 - RESOLUTION_MS) * 100) / 100
  const measured: Measured = {
    way,
    parses,
    secondsTotal: Math.round(performance.now() - began) / 1_000,
    p50Ms: beyond(delay.percentile(50)),
    p99Ms: beyond(delay.percentile(99)),
    maxMs: beyond(delay.max),
  }
  console.log(JSON.stringify(measured))
  return measured
}

// Warms up each way before its measurement: compiles the code and starts the thread.
await parsing.summariseFile(path)

const onThreadMs = performance.now()
summarise(bytes)
const parseMs = performance.now() - onThreadMs

await measure('idle', async () => void (await sleep(parseMs)))
const main = await measure('main thread', async () => summarise(await readFile(path)))
const byPath = await measure('offloaded, thread reads the file', () => parsing.summariseFile(path))
const byTransfer = await measure('offloaded, bytes transferred', async () => {
  const read = await readFile(path)
  return parsing.$with({ transfer: [read] }).summarise(read)
})
await closeOffload()

const worst = Math.max(byPath.p99Ms, byTransfer.p99Ms)
const verdict = worst < GOAL_P99_MS ? 'goal met' : 'GOAL MISSED'
console.log(
  `${parses} parses of ${(bytes.byteLength / 1e6).toFixed(1)} MB (${expected.rows} rows, ${parseMs.toFixed(0)} ms each): ` +
    `p99 loop delay ${main.p99Ms} ms on the main thread, ${byPath.p99Ms} ms (path) and ${byTransfer.p99Ms} ms ` +
    `(transfer) offloaded; goal < ${GOAL_P99_MS} ms: ${verdict}`,
)
process.exitCode = worst < GOAL_P99_MS ? 0 : 1
