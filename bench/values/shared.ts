import { Piko } from 'piko'
import { NodeProcess } from '../harness/node-process.ts'
import { percentile } from '../harness/percentile.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'

const NODES = 4
const PUBLICATIONS = 1_000
const UPDATES = 20

/** One node makes 1,000 publications while another watches; then each of four nodes makes 20 updates at the same time. */
export default async function valuesShared(config: SystemConfig): Promise<Found> {
  const doorbell = String(config['doorbell'])
  const settings = {
    piko: { log_level: 'silent', doorbell },
    // A link would notify the nodes as well.
    ...(doorbell === 'off' && { link: { listen: 'off' } }),
    ...storeSettings(config),
  }
  const client = new Piko({ jobs: [], execute: false, settings })
  await client.start()
  const about = await aboutPiko(client, config)
  const { pollIntervalMs } = client.settings.piko
  await client.stop()
  await using all = new AsyncDisposableStack()
  const starting = Array.from({ length: NODES }, () =>
    NodeProcess.start(new URL('node.ts', import.meta.url), { settings }),
  )
  const nodes = (await Promise.all(starting)).map((node) => all.use(node))
  const [publisher, watcher] = nodes
  if (!publisher || !watcher) throw new Error('there are no nodes')
  watcher.tell(`watch ${PUBLICATIONS + 1}`)
  await watcher.told('watching')
  publisher.tell(`publish ${PUBLICATIONS}`)
  const [version, ms] = (await publisher.told('published')).split(' ').map(Number)
  const watched = JSON.parse(await watcher.told('watched')) as { delays: number[]; back: number; version: number }
  for (const node of nodes) node.tell(`update ${UPDATES}`)
  await Promise.all(nodes.map((node) => node.told('updated')))
  for (const node of nodes) node.tell('counter')
  const counters = await Promise.all(nodes.map(async (node) => Number(await node.told('counter'))))
  const { delays, back } = watched
  return {
    about,
    values: {
      'last version of the publisher': { value: version ?? NaN, unit: 'version' },
      'last version of the watcher': { value: watched.version, unit: 'version' },
      'versions that came after a newer one': { value: back, unit: 'versions' },
      publications: { value: (PUBLICATIONS / (ms ?? NaN)) * 1_000, unit: 'versions/s' },
      'versions that the watcher saw': { value: delays.length, unit: 'versions' },
      'delay until a version is seen, p50': { value: percentile(delays, 50), unit: 'ms' },
      'delay until a version is seen, p99': { value: percentile(delays, 99), unit: 'ms' },
      'delay until the last version is seen': { value: delays.at(-1) ?? NaN, unit: 'ms' },
      'counter after the updates, lowest': { value: Math.min(...counters), unit: '' },
      'counter after the updates, highest': { value: Math.max(...counters), unit: '' },
    },
    settings: { nodes: NODES, publications: PUBLICATIONS, updates: NODES * UPDATES, pollIntervalMs },
  }
}
