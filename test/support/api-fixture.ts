import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import { defineCrawl } from '../../src/crawl/index.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { on } from '../../src/sink/on.ts'
import { defineService } from '../../src/service/define-service.ts'
import { Sink } from '../../src/sink/sink.ts'
import { defineShared } from '../../src/sync/index.ts'
import type { OpenOptions } from '../../src/store/connection/database.ts'
import { makeApp } from './app.ts'

const START = '2026-01-01T00:00:00Z'

class Order {}

class OrdersSink extends Sink {
  @on(Order)
  store(): void {}
}

/** Jobs for which every example of the API has an answer. */
function jobsOf() {
  return [
    defineJob(
      {
        id: 'sync_orders',
        description: 'Orders of a shop',
        cron: '0 * * * *',
        timezone: 'UTC',
        windows: { start: START, end: '2026-04-01T00:00:00Z', catchUp: 'none' },
        config: z.object({ shop: z.string().default('eu') }),
        input: z.unknown(),
      },
      () => {
        throw new Error('no answer')
      },
    ),
    defineJob({ id: 'ship_order', input: z.unknown(), sinks: { orders: OrdersSink } }, () => 'shipped'),
    defineJob({ id: 'broken' }, () => {
      throw new Error('ETIMEDOUT')
    }),
    defineJob(
      {
        id: 'pages',
        items: {
          page: {
            run: () => {
              throw new Error('no page')
            },
            lane: () => 'shop-1',
            retry: { error: { limit: 0 } },
          },
        },
      },
      async (ctx) => {
        await ctx.items.add('page', [1])
      },
    ),
    defineCrawl({
      id: 'shops',
      robots: false,
      limits: { private: true },
      retry: { network: { limit: 0 } },
      seeds: [{ url: 'http://127.0.0.1:1/1', step: 'product' }],
      steps: { product: () => undefined },
    }),
  ]
}

export interface ApiFixture {
  readonly app: Piko
  readonly http: HttpService
  readonly url: string
  /** The numbers that stand for those of the examples. */
  readonly ids: Readonly<Record<string, number>>
}

/** An app with its API on a store that has something of every kind. */
export async function apiFixture(options: OpenOptions): Promise<ApiFixture> {
  defineShared({ topic: 'fx-rates', schema: z.object({ usd: z.number() }), initial: { usd: 1 } })
  const app = makeApp(options, jobsOf(), {
    notifiers: [{ name: 'slack', send: () => {} }],
    services: [defineService({ name: 'Prices' })],
  })
  const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  await app.start()
  if (http.url === undefined) throw new Error('the server does not listen')
  const ended = async (jobId: string): Promise<number> => {
    const runId = await app.enqueue(jobId)
    await app.waitFor(runId)
    return runId
  }
  const runId = await ended('broken')
  const itemRun = await ended('pages')
  const crawlRun = await ended('shops')
  const [item] = (await app.items.list(itemRun)).items
  const backfill = await app.backfills.create('sync_orders', { from: START, to: '2026-01-01T02:00:00Z' })
  await backfill.wait()
  const open = await app.backfills.create('sync_orders', { from: '2026-02-01', to: '2026-03-01', parallel: 1 })
  const batch = await app.batches.create('ship_order', [{ input: 1 }])
  await app.configs.set('sync_orders', { shop: 'eu' })
  await app.configs.set('sync_orders', { shop: 'us' })
  await app.shared.publish('fx-rates', { usd: 1.1 })
  await app.shared.publish('fx-rates', { usd: 1.2 })
  return {
    ...{ app, http, url: `${http.url}/api/v1` },
    ids: { runId, itemRun, crawlRun, itemId: item?.id ?? 0, backfillId: open.id, batchId: batch.id },
  }
}
