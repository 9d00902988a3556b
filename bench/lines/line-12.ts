import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import { defineCrawl } from 'piko/crawl'
import { z } from 'zod'
import { atMost, equal } from './finding.ts'
import type { Line } from './line.ts'
import type { LineNode } from './line-node.ts'
import type { Scene } from './scene.ts'

interface Options {
  /** A proxy that plays every host: so private addresses are refused, as they are by default. */
  readonly proxy: string
}

const TIMEOUT_MS = 5_000
const LATE_MS = 3_000
const MEGABYTE = 2 ** 20
const BOMB_MEGABYTES = 10_240
const SAMPLE_MS = 20
/** By then, the node has loaded what it loads in the background after its start. */
const REST_MS = 5_000
const HOST = 'http://hostile.test'

export const line: Line<Options> = {
  what: 'a gzip bomb of 10 GB, bodies that never end, headers at a byte a second, redirects to 127.0.0.1 and file:',
  crawl: ({ proxy }) =>
    defineCrawl({
      id: 'hostile',
      config: z.object({ urls: z.array(z.string()).default([]) }),
      proxies: { urls: [proxy] },
      retry: { network: 0 },
      tolerate: { dead: '100%' },
      seeds: ({ config }) => config.urls,
      steps: { page: { request: { timeout: `${TIMEOUT_MS}ms` }, parse: () => {} } },
    }),
  async check(scene) {
    let secrets = 0
    const { url: proxy, port } = await hostile(scene, () => (secrets += 1))
    const expected: Readonly<Record<string, string>> = {
      [`${HOST}/bomb`]: 'size',
      [`${HOST}/endless`]: 'size',
      [`${HOST}/drip`]: 'network',
      [`${HOST}/slow`]: 'network',
      [`${HOST}/redirect?port=${port}`]: 'address',
      [`${HOST}/file`]: 'address',
      'file:///etc/passwd': 'address',
      [`http://127.0.0.1:${port}/secret`]: 'address',
      [`http://localhost:${port}/secret`]: 'address',
    }
    const [warm, cold] = [[`${HOST}/fine`], Object.keys(expected)]
    const app = await scene.client({ proxy })
    const node = await scene.node({ proxy })
    // The modules of a crawl are loaded with its first page, and their memory is not meant.
    await app.waitFor(await app.enqueue('hostile', { config: { urls: warm } }))
    await sleep(REST_MS)
    const runId = await app.enqueue('hostile', { config: { urls: [...warm, ...cold] } })
    const growth = await watchedRss(node, app.waitFor(runId))
    const { items } = await app.items.list(runId, { limit: 1_000 })
    const ends = items.map(
      ({ key, state, reason }) => [key.replace(/^GET /, ''), `${state} ${reason ?? ''}`.trim()] as const,
    )
    const wanted = [...cold.map((url) => [url, `dead ${expected[url]}`] as const), [warm[0] ?? '', 'done'] as const]
    const longest = Math.max(
      ...items.map(({ startedAt, finishedAt }) => (finishedAt?.getTime() ?? 0) - (startedAt?.getTime() ?? 0)),
    )
    const sorted = (list: readonly (readonly [string, string])[]) => list.map((one) => one.join(' ')).toSorted()
    return [
      equal('how each page ended', sorted(ends), sorted(wanted)),
      atMost('milliseconds of the longest page', longest, TIMEOUT_MS + LATE_MS),
      atMost('growth of memory in MB', growth / 1e6, 50),
      equal('requests that reached the private address', secrets, 0),
    ]
  },
}

/** The most that the memory of a node grows until the work has ended, from what it uses after its start. */
async function watchedRss(node: LineNode, work: Promise<unknown>): Promise<number> {
  const before = node.rss
  let most = before
  let isOver = false
  const over = work.finally(() => (isOver = true))
  while (!isOver) {
    most = Math.max(most, node.rss)
    await Promise.race([over, sleep(SAMPLE_MS)])
  }
  return most - before
}

async function hostile(
  scene: Scene<Options>,
  onSecret: () => void,
): Promise<{ readonly url: string; readonly port: number }> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', HOST)
    const redirect = (location: string): void => void response.writeHead(302, { location }).end()
    switch (pathname) {
      case '/fine':
        return void response.end('fine')
      case '/bomb':
        return void bomb(response)
      case '/endless':
        return drip(response, 65_536, 1)
      case '/drip':
        return drip(response, 1, 5)
      case '/slow':
        return slowHeaders(response)
      case '/redirect':
        return redirect(`http://127.0.0.1:${searchParams.get('port')}/secret`)
      case '/file':
        return redirect('file:///etc/passwd')
      case '/secret':
        onSecret()
        return void response.end('secret')
      default:
        return void response.writeHead(404).end()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scene.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port }
}

async function bomb(response: ServerResponse): Promise<void> {
  const block = Buffer.alloc(MEGABYTE)
  response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/html' })
  const gzip = createGzip({ level: constants.Z_BEST_SPEED })
  gzip.pipe(response)
  response.once('close', () => gzip.destroy())
  for (let left = BOMB_MEGABYTES; left > 0 && !gzip.destroyed; left--)
    if (!gzip.write(block)) await Promise.race([once(gzip, 'drain'), once(response, 'close')])
  gzip.end()
}

function drip(response: ServerResponse, bytes: number, everyMs: number): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write(Buffer.alloc(bytes)), everyMs)
  response.once('close', () => clearInterval(timer))
}

function slowHeaders({ socket }: ServerResponse): void {
  const head = [...'HTTP/1.1 200 OK\r\nx-long: ']
  const timer = setInterval(() => socket?.write(head.shift() ?? 'a'), 1_000)
  socket?.once('close', () => clearInterval(timer))
}
