import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import { HttpService } from 'piko/http'
import { heldRss } from '../harness/held-rss.ts'
import { NodeProcess } from '../harness/node-process.ts'
import { percentile } from '../harness/percentile.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'
import type { ReadersFound, ReadersOrder } from './live-readers-peer.ts'

const TICK_MS = 50
const SAMPLE_MS = 1_000
/** After this time, every process records its events. */
const RECORDING_MS = 11_000
const PATIENCE_MS = 120_000
const MB = 1e6

/** A node that receives and executes a fixed rate of runs, and serves its events to readers in another process. */
export default async function liveReaders(config: SystemConfig): Promise<Found> {
  const { rate, seconds, readers } = config as SystemConfig & Record<'rate' | 'seconds' | 'readers', number>
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const app = new Piko({ jobs: defineJob({ id: 'work' }, () => {}), settings })
  const server = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  let settled = 0
  app.events.on('run.settled', () => ++settled)
  await app.start()
  const about = await aboutPiko(app, config)
  const order: ReadersOrder = { url: server.url ?? '', readers, seconds }
  await using peer =
    readers === 0 ? undefined : await NodeProcess.start(new URL('live-readers-peer.ts', import.meta.url), order)
  await sleep(readers === 0 ? 1_000 : RECORDING_MS)
  const heldBefore = await held()
  peer?.tell('begin')
  const [cpu, began] = [process.cpuUsage(), performance.now()]
  const rss: number[] = []
  const sampling = setInterval(() => rss.push(process.memoryUsage.rss() / MB), SAMPLE_MS)
  const requested = await requestAtRate(app, rate, seconds)
  clearInterval(sampling)
  const used = process.cpuUsage(cpu)
  const tookMs = performance.now() - began
  const inTime = settled
  for (const deadline = Date.now() + PATIENCE_MS; settled < requested && Date.now() < deadline;) await sleep(TICK_MS)
  peer?.tell('end')
  const found = peer && (JSON.parse(await peer.told('found')) as ReadersFound)
  const heldAfter = await held()
  await app.stop()
  return {
    about,
    values: {
      settled: { value: (inTime / tookMs) * 1_000, unit: 'runs/s' },
      'CPU of the server': { value: (used.user + used.system) / tookMs / 10, unit: '% of a core' },
      'RSS p50': { value: percentile(rss, 50), unit: 'MB' },
      'peak RSS': { value: Math.max(...rss), unit: 'MB' },
      'heap growth': { value: heldAfter.heap - heldBefore.heap, unit: 'MB' },
      'RSS growth': { value: heldAfter.rss - heldBefore.rss, unit: 'MB' },
      ...(found && {
        'events of a reader': { value: found.events, unit: 'events' },
        'bytes to the readers': { value: found.bytes / MB / seconds, unit: 'MB/s' },
        'lost events': { value: found.lost, unit: 'events' },
        'duplicate events': { value: found.twice, unit: 'events' },
        'ends of runs that a reader missed': { value: requested - found.ends, unit: 'runs' },
        reconnections: { value: found.reconnections, unit: 'connections' },
        ...(found.cutMs !== null && {
          'time until a stopped reader is disconnected': { value: found.cutMs, unit: 'ms' },
        }),
      }),
    },
    settings: { rate, seconds, readers },
  }
}

/** @returns the number of requested runs */
async function requestAtRate(app: Piko, rate: number, seconds: number): Promise<number> {
  const began = performance.now()
  let requested = 0
  for (let passed = 0; passed < seconds * 1_000; passed = performance.now() - began) {
    const due = Math.min(Math.ceil((passed * rate) / 1_000), rate * seconds) - requested
    if (due > 0)
      await app.enqueueMany(
        'work',
        Array.from({ length: due }, () => ({})),
      )
    requested += due
    await sleep(TICK_MS)
  }
  return requested
}

async function held(): Promise<{ heap: number; rss: number }> {
  const rss = await heldRss()
  const { heapUsed, external } = process.memoryUsage()
  return { heap: (heapUsed + external) / MB, rss: rss / MB }
}
