/**
 * Measures what Piko claims: `node --conditions=piko-source --import tsx examples/scenarios.ts`
 *
 * Exits with 0 only when every claim held. The embedded store is in a temporary folder.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, defineResource, offload, Piko } from 'piko'
import * as flights from './flights.ts'

/** Counts how many are inside at the same time, and the maximum. */
class Gauge {
  #now = 0
  #most = 0

  async during(work: () => Promise<unknown>): Promise<void> {
    this.#now += 1
    this.#most = Math.max(this.#most, this.#now)
    try {
      await work()
    } finally {
      this.#now -= 1
    }
  }

  get most(): number {
    return this.#most
  }
}

const handlers = new Gauge()
const borrowed = new Gauge()
const SLOTS = 1_000
const POOL = 50
/** An odd number, for the median. */
const ROUNDS = 5
const SETTLE_MS = 20

const waiting = defineJob({ id: 'waiting' }, () => handlers.during(() => sleep(1_000)))

const Connections = defineResource({
  name: 'connections',
  size: POOL,
  acquire: async function* () {
    yield 'a connection'
  },
})
const pooled = defineJob({ id: 'pooled', resources: { db: Connections } }, () => borrowed.during(() => sleep(5)))

const offloaded = offload<typeof flights>(new URL('./flights.ts', import.meta.url))
const parsing = defineJob({ id: 'parsing' }, async (ctx) => offloaded.summarise(ctx.input as string))
const blocking = defineJob({ id: 'blocking' }, (ctx) => flights.summarise(ctx.input as string))

/** Runs a job `count` times at the same time and waits for all; returns the wall time. */
async function runAll(app: Piko, jobId: string, count: number): Promise<number> {
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: count }, () => app.run(jobId, { wait: true })))
  return Math.round(performance.now() - startedAt)
}

interface LoopDelay {
  readonly p99: number
  /** The longest stall. A harmful stall can be too rare for the 99th percentile. */
  readonly longest: number
}

/** Runs a job once and measures the delay of the event loop during the run, in milliseconds. */
async function loopDelay(app: Piko, jobId: string, input: string): Promise<LoopDelay & { output: unknown }> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(SETTLE_MS)
  const { output } = await app.run(jobId, { input, wait: true })
  // The first timer after a stall records it. Without this pause the run would end before that.
  await sleep(SETTLE_MS)
  delay.disable()
  if (delay.count === 0) throw new Error('the delay of the event loop was never sampled')
  return { output, p99: delay.percentile(99) / 1e6, longest: delay.max / 1e6 }
}

function median(delays: readonly LoopDelay[], pick: keyof LoopDelay): number {
  return delays.map((delay) => delay[pick]).sort((a, b) => a - b)[Math.floor(delays.length / 2)] ?? NaN
}

let hasFailed = false

function claim(text: string, holds: boolean): void {
  console.log(`  ${holds ? 'holds' : 'FAILS'}: ${text}`)
  hasFailed ||= !holds
}

const folder = await mkdtemp(join(tmpdir(), 'piko-scenarios-'))
const app = new Piko({
  jobs: [waiting, pooled, parsing, blocking],
  settings: {
    piko: { concurrency: SLOTS, log_level: 'warn' },
    mysql: { dsn: '' },
    sqlite: { path: join(folder, 'piko.db') },
  },
})
try {
  await app.start()

  console.log('1,000 handlers at once, each waits 1 s')
  const wallMs = await runAll(app, waiting.id, 1_000)
  console.log(`  ${wallMs} ms, ${handlers.most} at once at most`)
  claim('they overlap: one process does in seconds what takes 1,000 s in a row', handlers.most > 500 && wallMs < 20_000)

  console.log(`5,000 runs share a pool of ${POOL}, each holds its connection for 5 ms`)
  const pooledMs = await runAll(app, pooled.id, 5_000)
  console.log(`  ${pooledMs} ms, ${borrowed.most} connections held at once at most`)
  claim(`never more than ${POOL} are held, and all runs finish`, borrowed.most === POOL)

  console.log(`a file of 10 MB is parsed by a worker thread and, to compare, by the event loop; ${ROUNDS} rounds`)
  const { output } = await loopDelay(app, parsing.id, flights.FILE) // Starts the thread.
  const free: LoopDelay[] = []
  const blocked: LoopDelay[] = []
  // Alternates, so other work on this machine affects both.
  for (let round = 0; round < ROUNDS; round++) {
    free.push(await loopDelay(app, parsing.id, flights.FILE))
    blocked.push(await loopDelay(app, blocking.id, flights.FILE))
  }
  console.log(`  result ${JSON.stringify(output)}`)
  for (const [where, delays] of [
    ['off-thread', free],
    ['on the loop', blocked],
  ] as const) {
    const [p99, longest] = [median(delays, 'p99').toFixed(1), median(delays, 'longest').toFixed(1)]
    console.log(`  event-loop delay ${where}: p99 ${p99} ms, longest ${longest} ms (medians)`)
  }
  // A relative claim: on a busy machine every event loop stalls, even one that only sleeps.
  claim(
    'off-thread the longest stall is less than half of what parsing on the loop costs',
    median(free, 'longest') < median(blocked, 'longest') / 2,
  )
} finally {
  await app.stop()
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = hasFailed ? 1 : 0
