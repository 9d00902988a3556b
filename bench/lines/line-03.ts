import type { LaneSpec } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { atMost, equal, type Finding } from './finding.ts'
import type { Line } from './line.ts'
import type { Scene } from './scene.ts'

interface Options {
  readonly failing: { readonly origin: string; readonly pages: number; readonly lane: LaneSpec }
  readonly other: { readonly origin: string; readonly pages: number; readonly lane: LaneSpec }
}

const FROM_MS = 5_000
const TO_MS = 35_000
const PER_SECOND = 20
const SHARE = 0.05

export const line: Line<Options> = {
  what: 'one of two hosts answers 503 from second 5 to 35',
  crawl: ({ failing, other }) =>
    defineCrawl({
      id: 'outage',
      robots: false,
      limits: { private: true },
      hosts: { [new URL(failing.origin).host]: failing.lane, [new URL(other.origin).host]: other.lane },
      seeds: [failing, other].flatMap(({ origin, pages }) => Array.from({ length: pages }, (_, n) => `${origin}/${n}`)),
      steps: { page: () => {} },
    }),
  async check(scene) {
    return [
      ...(await outage(scene, 'with a rate', { parallel: 8, rate: `${PER_SECOND}/s` }, 600)),
      ...(await outage(scene, 'without a rate', { parallel: 16 }, 3_000)),
    ]
  },
}

async function outage(scene: Scene<Options>, name: string, lane: LaneSpec, pages: number): Promise<Finding[]> {
  let began: number | undefined
  const failing = await scene.site(({ at }) => {
    const ms = at - (began ??= at)
    return { status: ms >= FROM_MS && ms < TO_MS ? 503 : 200, body: 'page', delay: '50ms' }
  })
  const other = await scene.site(() => ({ body: 'page', delay: '50ms' }))
  const options: Options = {
    failing: { origin: failing.origin, pages, lane },
    other: { origin: other.origin, pages: 1_000, lane: { parallel: 8, rate: `${PER_SECOND}/s` } },
  }
  const app = await scene.client(options)
  const nodes = await scene.nodes(2, options)
  const runId = await app.enqueue('outage')
  const run = await app.waitFor(runId)
  const { done, dead } = await app.items.status(runId)
  for (const node of nodes) await node.stop()
  const start = began ?? 0
  const during = (requests: readonly { readonly at: number }[]): number =>
    requests.filter(({ at }) => at >= start + FROM_MS && at < start + TO_MS).length
  const wanted = (PER_SECOND * (TO_MS - FROM_MS)) / 1_000
  return [
    atMost(`requests to the failing host, ${name}`, during(failing.requests), 20),
    atMost(
      `difference of the other host's requests from ${wanted}, in %`,
      (Math.abs(during(other.requests) - wanted) / wanted) * 100,
      SHARE * 100,
    ),
    equal('state, pages done, dead', [run.state, done, dead], ['succeeded', pages + 1_000, 0]),
  ]
}
