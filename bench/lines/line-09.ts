import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Piko } from 'piko'
import { defineCrawl } from 'piko/crawl'
import { freePort } from '../../test/support/mysql-server.ts'
import { atLeast, equal } from './finding.ts'
import type { Line } from './line.ts'
import type { Scene } from './scene.ts'

interface Options {
  readonly origin: string
  readonly proxies: readonly string[]
}

const PAGES = 400
const LAST = 200
const PASSWORD = 'geheim-4711'

export const line: Line<Options> = {
  what: 'three proxies, one dead and one that fails 30 %: the last 200 of 400 pages',
  crawl: ({ origin, proxies }) =>
    defineCrawl({
      id: 'proxied',
      robots: false,
      limits: { private: true },
      proxies: { urls: proxies },
      seeds: Array.from({ length: PAGES }, (_, n) => `${origin}/${n}`),
      steps: { page: () => {} },
    }),
  async check(scene) {
    const site = await scene.site(() => ({ body: 'page', delay: '20ms' }))
    let turn = 0
    const proxies = [
      `http://user:${PASSWORD}@127.0.0.1:${await freePort()}`,
      await proxyServer(scene, 'flaky', () => turn++ % 10 < 3),
      await proxyServer(scene, 'good', () => false),
    ]
    const options = { origin: site.origin, proxies }
    const app = await scene.client(options)
    const nodes = await scene.nodes(2, options, 'trace')
    const runId = await app.enqueue('proxied')
    const run = await app.waitFor(runId)
    const { done, dead } = await app.items.status(runId)
    for (const node of nodes) await node.stop()
    const good = site.requests.slice(-LAST).filter(({ headers }) => headers['via-proxy'] === 'good').length
    const logs = nodes.map(({ output }) => output).join('')
    return [
      equal('state, done, dead', [run.state, done, dead], ['succeeded', PAGES, 0]),
      atLeast(`of the last ${LAST} requests by the good proxy, in %`, (good / LAST) * 100, 85),
      equal(`whether ${logs.length} characters of logs show the password`, logs.includes(PASSWORD), false),
      equal('tables that show the password', await tablesWith(app, PASSWORD), []),
    ]
  },
}

/** A forwarding proxy. Its pages say which one it was. */
async function proxyServer(scene: Scene<Options>, name: string, fails: () => boolean): Promise<string> {
  const server = createServer((request, response) => {
    if (fails()) return void response.socket?.destroy()
    const { 'proxy-authorization': _own, ...headers } = request.headers
    const onward = httpRequest(
      request.url ?? '',
      { method: request.method, headers: { ...headers, 'via-proxy': name } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scene.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://user:${PASSWORD}@127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The names of all tables in which a text is found. */
async function tablesWith(app: Piko, text: string): Promise<string[]> {
  const isFile = app.sql.dialect === 'sqlite'
  const tables = await app.sql.query<{ name: string }>(
    isFile
      ? "SELECT name FROM sqlite_master WHERE type = 'table'"
      : 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
  )
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await app.sql.query(`SELECT * FROM ${name}`)
    const values = rows.flatMap((row) => Object.values(row))
    const shown = values.map((value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
    )
    if (shown.some((value) => value.includes(text))) found.push(name)
  }
  return found
}
