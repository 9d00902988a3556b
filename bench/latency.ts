import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { compareSystems } from './harness/compare-systems.ts'
import { type Contestant, peers, piko } from './harness/contestants.ts'
import { monotonicMs } from './harness/monotonic.ts'
import { type Options, parseOptions, sceneOf } from './harness/options.ts'
import { percentile } from './harness/percentile.ts'
import type { Round } from './harness/round.ts'
import type { Values } from './harness/rounds.ts'

const GAP_MS = 20
/** After this pause, a node that polls more often after work polls at its idle rate again. */
const REST_MS = 1_500
const MAX_ACROSS = 25
/** How long an idle node is observed; not shorter than its slowest loop. */
const IDLE_MS = 10_000

/** One run at a time on an idle node, requested by its own process and by another, and the cost of the idle node. */
export async function latency(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 200 })
  const { store, runs } = options
  await compareSystems({
    bench: 'latency',
    scene: sceneOf(options),
    options,
    contestants: [piko({ ...options, concurrency: 100 }), ...peers(options.peers, store)],
    settings: {
      samples: runs,
      gapMs: GAP_MS,
      samplesAcross: Math.min(runs, MAX_ACROSS),
      restMs: REST_MS,
      idleMs: IDLE_MS,
    },
    measure: (round, contestant) => measure(round, contestant, options),
  })
}

async function measure(round: Round, { server }: Contestant, { runs }: Options): Promise<Values> {
  const { begun, ended, acknowledged } = await round.phase('latency', runs, GAP_MS)
  const across = await fromAnother(round, Math.min(runs, MAX_ACROSS))
  const idle = await whileIdle(round, server.startsWith('mysql'))
  const ms = (value: number): { value: number; unit: string } => ({ value, unit: 'ms' })
  return {
    'begin p50': ms(begun.p50),
    'begin p99': ms(begun.p99),
    ...(ended ? { 'end p50': ms(ended.p50), 'end p99': ms(ended.p99) } : {}),
    'answer p50': ms(acknowledged.p50),
    'from another process, begin p50': ms(percentile(across, 50)),
    'from another process, begin p99': ms(percentile(across, 99)),
    'idle CPU': { value: (idle.cpuMs / IDLE_MS) * 100, unit: '% of a core' },
    ...(idle.queries === undefined ? {} : { 'idle queries': { value: idle.queries, unit: 'queries/s' } }),
  }
}

/** The gap is random; otherwise it would hit the same point of each poll. */
async function fromAnother(round: Round, samples: number): Promise<number[]> {
  await using worker = round.child()
  await using client = round.child()
  const begun = new Map<number, (at: number) => void>()
  worker.onTold(({ event, id, at }) => event === 'begun' && begun.get(id)?.(at))
  await Promise.all([worker.call('work'), client.call('open')])
  await sleep(1_000)
  const found: number[] = []
  for (let id = 100_000; id < 100_002 + samples; id++) {
    const beginning = new Promise<number>((resolve) => begun.set(id, resolve))
    const asked = await client.call('ask', id)
    const began = await beginning
    if (id >= 100_002) found.push(began - asked)
    await sleep(REST_MS * (0.5 + Math.random()))
  }
  return found
}

async function whileIdle(
  round: Round,
  countsQueries: boolean,
): Promise<{ cpuMs: number; queries: number | undefined }> {
  await using worker = round.child()
  await worker.call('work')
  await sleep(2_000)
  const watch = countsQueries ? await createConnection(round.dsn) : undefined
  const questions = async (): Promise<number> => {
    if (!watch) return NaN
    const [rows] = await watch.query<RowDataPacket[]>(`SHOW GLOBAL STATUS LIKE 'Questions'`)
    return Number(rows[0]?.['Value'])
  }
  const before = await questions()
  const began = monotonicMs()
  await worker.call('cpu')
  await sleep(IDLE_MS)
  const cpuMs = await worker.call('cpu')
  // Excludes the query that reads the counter.
  const queries = (((await questions()) - before - 1) / (monotonicMs() - began)) * 1_000
  await watch?.end()
  return { cpuMs, queries: watch ? queries : undefined }
}
