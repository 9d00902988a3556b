/**
 * The asyncio sheet with `piko/async`, section by section; docs/from-python.md shows the Python code next to it.
 *
 * `node --conditions=piko-source --import tsx examples/from-python/async.ts`
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, isPikoError, Piko } from 'piko'
import {
  batches,
  breaker,
  bulkhead,
  Channel,
  completed,
  first,
  limiter,
  pool,
  retry,
  single,
  timeout,
} from 'piko/async'
import { HttpClient, type HttpRequest } from 'piko/data'
import { type StackFrame, Watchdog } from 'piko/service'

/** How many are inside at the same time, at most. */
class Gauge {
  #inside = 0
  most = 0

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.most = Math.max(this.most, ++this.#inside)
    try {
      return await work()
    } finally {
      this.#inside--
    }
  }
}

/** Waits and gives its name, or ends with the signal. */
async function fetchData(name: string, ms: number, signal?: AbortSignal): Promise<string> {
  await sleep(ms, undefined, signal ? { signal } : undefined)
  return name
}

/** Seconds since an instant, with one digit. */
const since = (startedAt: number): string => ((performance.now() - startedAt) / 1_000).toFixed(1)

async function gather(): Promise<void> {
  const results = await Promise.allSettled([fetchData('a', 20), fetchData('b', 10), Promise.reject(new Error('no c'))])
  console.log('gather:', results.map((end) => (end.status === 'fulfilled' ? end.value : String(end.reason))).join(', '))
}

async function firstOfFive(): Promise<void> {
  const startedAt = performance.now()
  let aborted = 0
  const mirrors = [900, 700, 100, 800, 600].map((ms, index) => (signal: AbortSignal) => {
    signal.addEventListener('abort', () => aborted++)
    return fetchData(`mirror ${index}`, ms, signal)
  })
  const fastest = await first(mirrors)
  console.log(`first: ${fastest} in ${since(startedAt)} s, ${aborted} aborted`)
}

async function inOrderOfCompletion(): Promise<void> {
  const order: string[] = []
  for await (const end of completed([300, 100, 200], (ms, _index, signal) => fetchData(`${ms}`, ms, signal))) {
    if (end.status === 'fulfilled') order.push(end.value)
  }
  console.log(`completed: ${order.join(', ')}`)
}

async function boundedConcurrency(): Promise<void> {
  const gauge = new Gauge()
  const three = pool(3)
  const results = await Promise.all(
    Array.from({ length: 10 }, (_, index) => three.add(() => gauge.during(() => fetchData(`${index}`, 20)))),
  )
  console.log(`bounded: ${results.length} calls, at most ${gauge.most} at the same time`)
}

async function timeLimit(): Promise<void> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const closed = once(server, 'connection').then(async ([socket]: Socket[]) => {
    socket?.on('error', () => {}).resume()
    if (socket) await once(socket, 'close')
  })
  try {
    await timeout((signal) => fetch(url, { signal }), '1s')
  } catch (error) {
    if (!isPikoError(error, 'TIMEOUT')) throw error
    await closed
    console.log(`timeout: ${error.code}, ${error.message}; the server saw its socket close`)
  }
  server.close()
}

/** A server that answers only when ten requests have arrived, so that it sees how many a client sends at the same time. */
async function shopOfTen(gauge: Gauge) {
  let arrived: (() => void)[] = []
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request)
    await gauge.during(async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      if (arrived.push(resolve) === 10) {
        for (const answer of arrived) answer()
        arrived = []
      }
      await promise
    })
    response.writeHead(request.url === '/missing' ? 404 : 200, { 'content-type': 'text/plain' })
    response.end(`${request.method} ${request.url} ${body}`)
  }
  const shop = createHttpServer((request, response) => void handle(request, response))
  await once(shop.listen(0, '127.0.0.1'), 'listening')
  return { shop, origin: `http://127.0.0.1:${(shop.address() as AddressInfo).port}` }
}

async function batchOfRequests(): Promise<void> {
  const gauge = new Gauge()
  const { shop, origin } = await shopOfTen(gauge)
  await using client = new HttpClient({ origin, connections: 100, timeout: '30s' })
  const requests: HttpRequest[] = [
    ...Array.from({ length: 28 }, (_, page) => ({ url: '/orders', query: { page } })),
    { url: '/orders', method: 'POST', json: { id: 7 } },
    { url: '/missing' },
  ]
  const results = await client.batch(requests, { concurrency: 10 })
  const failed = results.flatMap(({ error, status }, index) =>
    error ? [`${String(requests[index]?.url)} with ${status}`] : [],
  )
  console.log(
    `requests: ${results.length - failed.length} answers, at most ${gauge.most} at the same time; failed: ${failed.join()}`,
  )
  console.log(`posted: ${String(results[28]?.data)}`)
  shop.close()
}

async function retries(): Promise<void> {
  const startedAt = performance.now()
  let calls = 0
  const value = await retry(
    (_signal, attempt) => {
      calls++
      if (attempt < 3) throw new Error('not yet')
      return 'done'
    },
    { limit: 2, base: '500ms', jitter: false },
  )
  console.log(`retry: ${value} after ${calls} calls in ${since(startedAt)} s`)
}

async function rateLimit(): Promise<void> {
  const api = limiter('5/s')
  const startedAt = performance.now()
  const times: number[] = []
  for (let count = 0; count < 10; count++) {
    await api.take()
    times.push(performance.now())
  }
  const inOneSecond = times.map((start) => times.filter((time) => time >= start && time < start + 1_000).length)
  console.log(`rate: 10 calls in ${since(startedAt)} s, at most ${Math.max(...inOneSecond)} in any second`)
}

async function producersAndConsumers(): Promise<void> {
  const channel = new Channel<number>({ capacity: 10 })
  let most = 0
  const produce = async (producer: number): Promise<void> => {
    for (let value = producer; value < 10_000; value += 3) {
      await channel.put(value)
      most = Math.max(most, channel.size)
    }
  }
  const consume = async (): Promise<number[]> => {
    const values: number[] = []
    for await (const value of channel) values.push(value)
    return values
  }
  const consumers = [consume(), consume()]
  await Promise.all([produce(0), produce(1), produce(2)])
  channel.close()
  const received = (await Promise.all(consumers)).flat()
  console.log(`channel: ${received.length} values, ${new Set(received).size} different, at most ${most} held`)
}

async function taskQueue(): Promise<void> {
  const queue = pool(1)
  const order: string[] = []
  queue.pause()
  for (const [name, priority] of [
    ['report', 5],
    ['alert', -5],
    ['sync', 0],
  ] as const)
    void queue.add(() => void order.push(name), { priority })
  queue.resume()
  await queue.idle()
  console.log(`queue: ${order.join(', ')}`)
}

async function sharedCalls(): Promise<void> {
  let calls = 0
  const load = single((id: string) => (calls++, fetchData(id, 20)), { ttl: '1m' })
  const values = await Promise.all(Array.from({ length: 10 }, () => load('config')))
  await load('config')
  console.log(`single: ${values.length + 1} callers, ${calls} call`)
}

async function guards(): Promise<void> {
  let made = 0
  let refused = 0
  const guarded = breaker({ failures: 3, cooldown: '1m' })
  const down = (): Promise<never> => (made++, Promise.reject(new Error('503')))
  for (let count = 0; count < 5; count++) {
    await guarded.run(down).catch((error: unknown) => {
      if (isPikoError(error, 'BREAKER_OPEN')) refused++
    })
  }
  console.log(`breaker: ${made} calls made, ${refused} refused`)

  const two = bulkhead(2, { queue: 1 })
  const calls = await Promise.allSettled([1, 2, 3, 4].map(() => two.run(() => sleep(20))))
  console.log(`bulkhead: ${calls.filter(({ status }) => status === 'fulfilled').length} of 4 calls ran`)
}

async function batchesOfRows(): Promise<void> {
  const sizes: number[] = []
  for await (const rows of batches(Array(2_500).keys(), { rows: 1_000 })) sizes.push(rows.length)
  console.log(`batches: ${sizes.join(', ')}`)
}

/** Blocks the event loop for 0.3 s of processor time. */
function parseLargeFile(): void {
  const began = process.threadCpuUsage().user
  while (process.threadCpuUsage().user < began + 300_000) JSON.parse(`[${'1,'.repeat(1_000)}1]`)
}

async function blockedLoop(): Promise<void> {
  const { promise: found, resolve } = Promise.withResolvers<StackFrame>()
  await using watchdog = new Watchdog({
    threshold: '100ms',
    onBlocked: ({ culprit }) => {
      if (culprit) resolve(culprit)
    },
  })
  await watchdog.start()
  // The watchdog's thread may not run yet when the loop is blocked for the first time.
  const blocking = setInterval(parseLargeFile, 200)
  const { functionName, file } = await found
  clearInterval(blocking)
  console.log(`loop: blocked by ${functionName} of ${basename(file)}`)
}

/** The same in a job: every wait ends with the run. */
const job = defineJob({ id: 'pages' }, async (ctx) => {
  const gauge = new Gauge()
  const calls: number[] = []
  const pages = await ctx.map(
    [1, 2, 3, 4, 5, 6],
    async (page, _index, signal) => {
      const isFirst = calls.push(page) > 0 && calls.indexOf(page) === calls.lastIndexOf(page)
      await gauge.during(() => sleep(20, undefined, { signal }))
      if (page === 4 && isFirst) throw new Error('busy')
      return page
    },
    {
      concurrency: 3,
      rate: '100/s',
      retry: { limit: 3, base: '20ms' },
      timeout: '30s',
      stopOn: (error) => error.message === '401',
    },
  )
  const mirror = await ctx.async.first([() => 'near', (signal) => fetchData('far', 5_000, signal)])
  return `${pages.filter(({ status }) => status === 'fulfilled').length} pages in ${calls.length} calls, at most ${gauge.most} at the same time; ${mirror}`
})

async function inAJob(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'piko-async-'))
  const settings = {
    piko: { log_level: 'warn' as const },
    mysql: { dsn: '' },
    sqlite: { path: join(folder, 'piko.db') },
  }
  try {
    await using app = new Piko({ jobs: job, settings })
    await app.start()
    console.log(`job: ${String((await app.run(job.id, { wait: true })).output)}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

await gather()
await firstOfFive()
await inOrderOfCompletion()
await boundedConcurrency()
await timeLimit()
await batchOfRequests()
await retries()
await rateLimit()
await producersAndConsumers()
await taskQueue()
await sharedCalls()
await guards()
await batchesOfRows()
await blockedLoop()
await inAJob()
