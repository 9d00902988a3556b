import { setTimeout as sleep } from 'node:timers/promises'
import type { Rate } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { atLeast, atMost } from './finding.ts'
import type { Line } from './line.ts'
import { fullest, type Scene } from './scene.ts'

interface Options {
  readonly origin: string
  readonly pages: number
  readonly rate?: Rate
}

const SPAN_MS = 30_000
const BLOCK_MS = 300
const PARALLEL = 4
const NODES = 3

export const line: Line<Options> = {
  what: "rate '10/s' and parallel 4 over three nodes, one of whose loops is blocked 300 ms a second, by the server's log",
  crawl: ({ origin, pages, rate }) =>
    defineCrawl({
      id: 'paced',
      robots: false,
      limits: { private: true },
      hosts: { '*': { parallel: PARALLEL, ...(rate !== undefined && { rate }) } },
      seeds: Array.from({ length: pages }, (_, n) => `${origin}/${n}`),
      steps: { page: () => {} },
    }),
  async check(scene) {
    const paced = await logOf(scene, { pages: 400, rate: '10/s' }, '50ms')
    const [first = 0] = paced.instants
    const inSpan = paced.instants.filter((at) => at < first + SPAN_MS).length
    const free = await logOf(scene, { pages: 600 }, '100ms')
    return [
      atMost('requests in the fullest 1,000 ms', fullest(paced.instants, 1_000), 11),
      atLeast('requests in the first 30 s', inSpan, 270),
      atMost('requests open at the same time, with the rate', paced.mostOpen, PARALLEL),
      atMost('requests open at the same time, without a rate', free.mostOpen, PARALLEL),
    ]
  },
}

async function logOf(
  scene: Scene<Options>,
  more: Omit<Options, 'origin'>,
  delay: `${number}ms`,
): Promise<{ readonly instants: readonly number[]; readonly mostOpen: number }> {
  const site = await scene.site(() => ({ body: 'page', delay }))
  const options = { origin: site.origin, ...more }
  const app = await scene.client(options)
  const nodes = await Promise.all(
    Array.from({ length: NODES }, (_, index) => scene.node(options, { blockMs: index === 0 ? BLOCK_MS : 0 })),
  )
  // All of them work from the beginning.
  await sleep(1_000)
  const runId = await app.enqueue('paced')
  await app.waitFor(runId)
  for (const node of nodes) await node.stop()
  return { instants: site.requests.map(({ at }) => at), mostOpen: site.mostOpen }
}
