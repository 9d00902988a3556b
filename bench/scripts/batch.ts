import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import { CountingServer, fullestSpan } from '../../test/support/counting-server.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'
import { startNode } from './rate-nodes.ts'

const SECOND_MS = 1_000
/** One item in this many fails until it is repaired. */
const FAILS = 50

/** A batch of calls with a rate limit. The failures appear in one report, and one call replays them. */
export default async function batch(config: SystemConfig): Promise<Found> {
  const { runs, nodes, limit } = config as SystemConfig & Record<'runs' | 'nodes' | 'limit', number>
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const rate = `${limit}/s` as const
  await using server = await CountingServer.start()
  const jobs = [defineJob({ id: 'call', rate, retry: { limit: 0 } }, () => {}), defineJob({ id: 'done' }, () => {})]
  const order = { settings, rate, blockMs: 0, port: server.port }
  const children = await Promise.all(Array.from({ length: nodes }, () => startNode(order)))
  const client = new Piko({ jobs, execute: false, settings })
  await client.start()
  const about = await aboutPiko(client, config)
  const items = Array.from({ length: runs }, (_, index) => ({ input: index % FAILS === 0 ? 'fails' : 'succeeds' }))
  const created = performance.now()
  const made = await client.batch('call', items, { key: 'calls', onDone: 'done' })
  const createMs = performance.now() - created
  const ended = await made.wait()
  const waitMs = performance.now() - created
  const reading = performance.now()
  const report = await made.show()
  const reportMs = performance.now() - reading
  await client.configs.set('call', { isRepaired: true })
  // Two polls of the nodes.
  while (!(await client.configs.show('call'))?.nodes.every(({ version }) => version === 1)) await sleep(200)
  const { count } = await made.replay()
  const replayed = await made.wait()
  const done = await client.runs.list({ jobId: 'done' })
  for (const child of children) child.kill('SIGKILL')
  await client.stop()
  return {
    about,
    values: {
      reached: { value: ((runs - limit) / (waitMs / SECOND_MS) / limit) * 100, unit: '% of the rate' },
      'maximum calls received in one second': { value: fullestSpan(server.hits, SECOND_MS), unit: 'calls' },
      calls: { value: server.hits.length, unit: 'calls' },
      failed: { value: ended.failed, unit: 'runs' },
      'in the first group of the report': { value: report.failures[0]?.runIds.length ?? 0, unit: 'runs' },
      replayed: { value: count, unit: 'runs' },
      'succeeded in the end': { value: replayed.succeeded, unit: 'runs' },
      'runs of the last job': { value: done.length, unit: 'runs' },
      creation: { value: createMs, unit: 'ms' },
      report: { value: reportMs, unit: 'ms' },
    },
    settings: { runs, nodes, limit },
  }
}
