import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import { CountingServer, fullestSpan } from '../../test/support/counting-server.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'
import { startNode } from './rate-nodes.ts'

const BULK = 1_000
const SECOND_MS = 1_000

/**
 * A standing queue of a job with a rate, on nodes whose handlers call a server immediately. Measures how much of the rate is reached and
 * whether it is kept.
 */
export default async function rate(config: SystemConfig): Promise<Found> {
  const { runs, nodes, limit, blockMs } = config as SystemConfig &
    Record<'runs' | 'nodes' | 'limit' | 'blockMs', number>
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const order = { settings, rate: `${limit}/s`, blockMs } as const
  await using server = await CountingServer.start()
  const client = new Piko({ jobs: defineJob({ id: 'call', rate: order.rate }, () => {}), execute: false, settings })
  await client.start()
  for (let from = 0; from < runs; from += BULK) {
    await client.enqueueMany(
      'call',
      Array.from({ length: Math.min(BULK, runs - from) }, () => ({})),
    )
  }
  const about = await aboutPiko(client, config)
  await client.stop()
  const starting = Array.from({ length: nodes }, () => startNode({ ...order, port: server.port }))
  const children = await Promise.all(starting)
  while (server.hits.length < runs) await sleep(100)
  for (const child of children) child.kill('SIGKILL')
  const begun = server.hits.map(({ text }) => Number(text.split(' ')[1])).map((at) => ({ since: at, at }))
  const times = begun.map(({ at }) => at)
  const took = Math.max(...times) - Math.min(...times)
  // The runs of the first span begin immediately.
  const reached = (runs - limit) / (took / SECOND_MS)
  return {
    about,
    values: {
      'rate reached': { value: (reached / limit) * 100, unit: '% of the rate' },
      'maximum runs begun in one second': { value: fullestSpan(begun, SECOND_MS), unit: 'runs' },
      'maximum calls received in one second': { value: fullestSpan(server.hits, SECOND_MS), unit: 'calls' },
    },
    settings: { runs, nodes, limit, blockMs },
  }
}
