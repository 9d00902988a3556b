import { Duplex } from 'node:stream'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Piko } from '../../src/app/piko.ts'
import { bulkhead, breaker, Channel, completed, first, limiter, retry, single, timeout } from '../../src/async/index.ts'
import { batches } from '../../src/calls/batches.ts'
import { defineCache, redis as redisLevel } from '../../src/cache/index.ts'
import { createClient } from '../../src/client/index.ts'
import {
  browser,
  CrawlError,
  defineCrawl,
  http as downloader,
  sandbox,
  sitemap,
  socket,
} from '../../src/crawl/index.ts'
import { csv, http, httpSink, jsonLines, parquet, redis } from '../../src/data/index.ts'
import { sockets } from '../../src/http/index.ts'
import { serveRoutes } from '../../src/http/serve-routes.ts'
import { ItemError } from '../../src/item/item-error.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { defineRoutes, dial, linkOf, listen } from '../../src/link/index.ts'
import { email } from '../../src/notify/email.ts'
import { slack } from '../../src/notify/slack.ts'
import { webhook } from '../../src/notify/webhook.ts'
import { configureOffload, file, offload, offloadPool } from '../../src/offload/index.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { consoleLog, defineService, Supervisor, Watchdog, Worker } from '../../src/service/index.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import { defineShared } from '../../src/sync/index.ts'
import { fixtureSite, runJob, simulate, testCrawl } from '../../src/testing/index.ts'

const nothing = (): void => undefined
const asking = (options: object = {}): never => ({ ...options, zzTypo: 1 }) as never
const job = defineJob({ id: 'a', every: '1h' }, nothing)
const stream = new Duplex({ read: nothing })
const parser = new URL('../fixtures/offload/none.ts', import.meta.url)

const MAKERS: Readonly<Record<string, () => unknown>> = {
  Piko: () => new Piko(asking({ jobs: [] })),
  loadSettings: () => loadSettings(asking()),
  defineJob: () => defineJob(asking({ id: 'a' }), nothing),
  'retry of a job': () => defineJob({ id: 'a', retry: asking() }, nothing),
  defineResource: () => defineResource(asking({ name: 'r', open: nothing })),
  defineSink: () => defineSink(asking({ name: 's', on: [] })),
  sqlTable: () => sqlTable(asking({ table: 't' })),
  defineService: () => defineService(asking({ name: 's', start: nothing })),
  defineCache: () => defineCache(asking({ name: 'c', ttl: '1m' })),
  'redis of a cache': () => redisLevel('redis://127.0.0.1', asking()),
  defineShared: () => defineShared(asking({ topic: 's', schema: z.object({}), initial: {} })),
  defineCrawl: () => defineCrawl(asking({ id: 'a', seeds: ['http://a/'], steps: { page: nothing } })),
  browser: () => browser(asking()),
  'http of a crawl': () => downloader(asking()),
  socket: () => socket(asking()),
  sitemap: () => sitemap('http://a/sitemap.xml', asking()),
  'sandbox.call': () => sandbox.call('', undefined, [], asking()),
  email: () => email(asking()),
  slack: () => slack(asking()),
  webhook: () => webhook(asking()),
  http: () => http(asking()),
  redis: () => redis('redis://127.0.0.1', asking()),
  csv: () => csv(asking()),
  jsonLines: () => jsonLines(asking()),
  parquet: () => parquet(asking()),
  httpSink: () => httpSink(asking()),
  offload: () => offload(parser, asking()),
  configureOffload: () => configureOffload(asking()),
  offloadPool: () => offloadPool(asking()),
  file: () => file('a.txt', asking()),
  batches: () => batches([], asking({ rows: 2 })),
  completed: () => completed([], nothing, asking()),
  first: () => first([nothing], asking()),
  limiter: () => limiter('1/s', asking()),
  retry: () => retry(nothing, asking()),
  timeout: () => timeout(nothing, '1s', asking()),
  breaker: () => breaker(asking()),
  bulkhead: () => bulkhead(1, asking()),
  Channel: () => new Channel(asking()),
  single: () => single(nothing, asking()),
  dial: () => dial(asking({ url: 'piko://127.0.0.1:1' })),
  listen: () => listen(asking({ port: 0 })),
  linkOf: () => linkOf(stream, asking()),
  defineRoutes: () => defineRoutes(asking()),
  serveRoutes: () => serveRoutes([], asking()),
  sockets: () => sockets(asking()),
  consoleLog: () => consoleLog(undefined, undefined, asking()),
  Supervisor: () => new Supervisor([], asking()),
  Watchdog: () => new Watchdog(asking()),
  Worker: () => new Worker([], asking()),
  ItemError: () => new ItemError('failed', asking({ class: 'network' })),
  CrawlError: () => new CrawlError('failed', asking({ class: 'network' })),
  createClient: () => createClient(asking({ url: 'http://127.0.0.1' })),
  'a call of the client': () => createClient({ url: 'http://127.0.0.1:1' }).runs.show({ runId: 1 }, asking()),
  'events of the client': () => createClient({ url: 'http://127.0.0.1:1' }).events(asking()).next(),
  fixtureSite: () => fixtureSite({}, asking()),
  testCrawl: () => testCrawl(job, asking({ pages: {} })),
  runJob: () => runJob(job, asking()),
  simulate: () => simulate(job, asking()),
}

it.each(Object.entries(MAKERS))('%s names an option that it does not have', async (_, make) => {
  const refusal = await Promise.resolve()
    .then(make)
    .then(
      () => 'nothing was thrown',
      (error: unknown) => (error as Error).message,
    )
  expect(refusal).toContain('zzTypo')
})

it('an error of an item or a crawl names a wrong part', () => {
  const wrong = { class: 'netwrok', lane: 'wiat', breaker: 1 } as never
  expect(() => new ItemError('slow', wrong)).toThrow(
    'new ItemError("slow") has 2 problems:\n  lane is "wiat"; expected one of wait\n  breaker is 1; expected true or false',
  )
  expect(() => new ItemError('slow', {} as never)).toThrow(
    'new ItemError("slow"): class is undefined; expected a string',
  )
  expect(() => new CrawlError('slow', { class: 'netwrok' } as never)).toThrow(
    'new CrawlError("slow"): class is "netwrok"; expected one of network, throttled, ',
  )
})

it('a log, a stream and a clock without the methods are refused', () => {
  expect(() => consoleLog({} as never, {} as never)).toThrow(
    /stream is \{\}; expected a stream; it has no write\n  clock is \{\}; expected a clock; it has no now, monotonic, sleep/,
  )
  expect(() => linkOf(stream, { role: 'dial', log: {} } as never)).toThrow('log is {}; expected a log; it has no trace')
})
