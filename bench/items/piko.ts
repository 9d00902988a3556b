import { Piko } from 'piko'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'
import { deadlocksOf } from './deadlocks.ts'
import { duplicatesOf } from './graph.ts'
import { graphJob, type Shape } from './jobs.ts'
import { spanOf } from './spans.ts'

/**
 * One run whose items add all others, on nodes in separate processes. Measures the time from the first claim to the last outcome, by the
 * database's clock.
 */
export default async function itemsPiko(config: SystemConfig): Promise<Found> {
  const [pages, count, shape] = [Number(config['pages']), Number(config['nodes']), config['shape'] as Shape]
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const client = new Piko({ jobs: graphJob(shape, pages), execute: false, settings })
  await client.start()
  const starting = Array.from({ length: count }, () =>
    NodeProcess.start(new URL('node.ts', import.meta.url), { settings, shape, pages }),
  )
  await using nodes = new AsyncDisposableStack()
  const started = (await Promise.all(starting)).map((node) => nodes.use(node))
  const deadlocksBefore = await deadlocksOf(client, config)
  const beganAt = performance.now()
  const run = await client.run('graph', { wait: true })
  const wholeMs = performance.now() - beganAt
  const deadlocks = (await deadlocksOf(client, config)) - deadlocksBefore
  const { ms, done, failed } = await spanOf(client)
  const { duplicates } = await client.items.status(run.id)
  const failures = started.flatMap(({ lines }) => lines.filter((line) => line.startsWith('failed ')))
  for (const line of failures) process.stderr.write(`${line}\n`)
  if (done !== pages || duplicates !== duplicatesOf(pages))
    throw new Error(`${done} of ${pages} items are done, and ${duplicates} of ${duplicatesOf(pages)} are duplicates`)
  const about = await aboutPiko(client, config)
  const settingsOfItems = { items: client.settings.items.concurrency, nodes: count, pages }
  await client.stop()
  return {
    about,
    values: {
      items: { value: (pages / ms) * 1_000, unit: 'items/s' },
      'items, from request to end of run': { value: (pages / wholeMs) * 1_000, unit: 'items/s' },
      'deadlocks that the server resolved': { value: deadlocks, unit: 'deadlocks' },
      'items and loops that failed': { value: failed + failures.length, unit: 'failures' },
    },
    settings: settingsOfItems,
  }
}
