import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CallForm, readCall } from '../../calls/call-checks.ts'
import { systemClock } from '../../clock.ts'
import { headline } from '../../errors-read.ts'
import { anything, aTable, aText, wholeNumber } from '../../options.ts'
import { durationMs } from '../../time/duration.ts'
import type {
  FixtureFailures,
  FixtureGraph,
  FixtureLogEntry,
  FixturePage,
  FixtureRequest,
  FixtureSiteOptions,
} from './fixture-types.ts'

const COOKIE = 'fixture'

const FORM: CallForm<FixtureSiteOptions> = {
  call: 'fixtureSite',
  checks: { robots: anything, loginPath: aText, port: wholeNumber(0, 65_535) },
  example: "{ robots: 'User-agent: *' }",
}

/**
 * Starts a real HTTP server on loopback for the tests of a crawl. It counts and logs its requests. A crawl needs `limits: { private: true
 * }` to load its pages.
 *
 * @throws PikoError `USAGE` that names all problems
 * @example
 * await using site = await fixtureSite({
 *   '/': { links: ['/a', '/b'] },
 *   '/a': { body: '<h1>A</h1>', failures: { times: 1, status: 503 } },
 *   '/b': { redirect: '/a', delay: '50ms' },
 * })
 * expect(site.requests.map(({ url }) => url)).toEqual(['/', '/a', '/b', '/a', '/a'])
 */
export async function fixtureSite(graph: FixtureGraph, given: FixtureSiteOptions = {}): Promise<FixtureSite> {
  const options = readCall(FORM, { graph: [graph, aTable] }, given)
  const server = createServer()
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  return new FixtureSite(server, graph, options)
}

/** See {@link fixtureSite}. */
export class FixtureSite implements AsyncDisposable {
  /** The URL of the server without a path: `http://127.0.0.1:…`. */
  readonly origin: string
  /** All requests, in the order of their arrival. */
  readonly requests: FixtureLogEntry[] = []
  /** The number of requests without a complete response: now (`open`), and the highest number so far (`mostOpen`). */
  open = 0
  mostOpen = 0
  /** The number of connections: now (`connections`), and the highest number so far (`mostConnections`). */
  connections = 0
  mostConnections = 0
  /** How many clients have logged in. */
  logins = 0
  readonly #server: Server
  readonly #options: FixtureSiteOptions
  readonly #sockets = new Set<Socket>()
  readonly #counts = new Map<string, number>()
  readonly #sessions = new Set<string>()
  #graph: FixtureGraph

  /** @internal */
  constructor(server: Server, graph: FixtureGraph, options: FixtureSiteOptions) {
    this.#server = server
    this.#graph = graph
    this.#options = options
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request, response) => void this.#serve(request, response))
    server.on('connection', (socket) => this.#count(socket))
  }

  /** Returns the absolute URL of a path. */
  url(path: string): string {
    return new URL(path, this.origin).href
  }

  /** Counts the requests for a path, with any query and method. */
  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length
  }

  /** Replaces all pages. */
  replace(graph: FixtureGraph): void {
    this.#graph = graph
  }

  /** Ends the sessions of all clients, so that they must log in again. */
  endSessions(): void {
    this.#sessions.clear()
  }

  /** Closes all connections, and stops the server. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #count(socket: Socket): void {
    this.#sockets.add(socket)
    this.mostConnections = Math.max(this.mostConnections, ++this.connections)
    socket.on('close', () => {
      this.connections -= 1
      this.#sockets.delete(socket)
    })
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    response.once('close', () => (this.open -= 1))
    try {
      const request = await this.#logged(message)
      response.once('finish', () => (request.status = response.statusCode))
      await this.#answer(await this.#pageOf(request), request, message, response)
    } catch (error) {
      if (message.destroyed && response.destroyed) return
      if (!response.headersSent)
        response.writeHead(500, { 'x-fixture-error': headline(error).replaceAll(/[^ -~]/g, ' ') })
      response.end()
    }
  }

  async #logged(message: IncomingMessage): Promise<FixtureLogEntry> {
    const { method = 'GET', url = '/', headers } = message
    const { pathname: path, searchParams: query } = new URL(url, this.origin)
    const key = `${method} ${url}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    const entry = { method, url, path, query, headers, body: '', at: systemClock.now(), count, status: undefined }
    this.requests.push(entry)
    const pieces: Buffer[] = []
    for await (const piece of message as AsyncIterable<Buffer>) pieces.push(piece)
    return Object.assign(entry, { body: Buffer.concat(pieces).toString() })
  }

  async #pageOf(request: FixtureRequest): Promise<FixturePage> {
    const { robots = 404, loginPath = '/login' } = this.#options
    if (request.path === '/robots.txt') return robotsPage(robots)
    if (request.path === loginPath && request.method === 'POST') return this.#login()
    const graph = this.#graph
    const found = typeof graph === 'function' ? await graph(request) : (graph[request.url] ?? graph[request.path])
    const page = typeof found === 'string' ? { body: found } : (found ?? { status: 404, body: 'no such page' })
    return page.login === true && !this.#isLoggedIn(request) ? { status: 403, body: 'log in first' } : page
  }

  #login(): FixturePage {
    const id = `s${++this.logins}`
    this.#sessions.add(id)
    return { headers: { 'set-cookie': `${COOKIE}=${id}; Path=/; HttpOnly` }, body: 'welcome' }
  }

  #isLoggedIn({ headers: { cookie = '' } }: FixtureRequest): boolean {
    return cookie
      .split(/;\s*/)
      .some((part) => part.startsWith(`${COOKIE}=`) && this.#sessions.has(part.slice(COOKIE.length + 1)))
  }

  async #answer(
    page: FixturePage,
    { count }: FixtureRequest,
    message: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (page.delay !== undefined) await sleep(durationMs(page.delay))
    if (page.failures && count <= page.failures.times) return fail(page.failures, response)
    if (page.respond) return void (await page.respond(message, response))
    const { type, bytes } = bodyOf(page)
    const { status = page.redirect === undefined ? 200 : 302 } = page
    response.writeHead(status, {
      'content-type': type,
      'content-length': bytes.byteLength,
      ...(page.redirect !== undefined && { location: page.redirect }),
      ...page.headers,
    })
    response.end(message.method === 'HEAD' ? undefined : bytes)
  }
}

function robotsPage(robots: string | number | FixturePage): FixturePage {
  if (typeof robots === 'number') return { status: robots }
  return typeof robots === 'string' ? { body: robots, headers: { 'content-type': 'text/plain' } } : robots
}

function fail({ status = 500, headers = {} }: FixtureFailures, response: ServerResponse): void {
  if (status === 'reset') response.socket?.resetAndDestroy()
  else response.writeHead(status, headers).end()
}

function bodyOf({ body, links }: FixturePage): { readonly type: string; readonly bytes: Uint8Array } {
  if (links) return { type: 'text/html; charset=utf-8', bytes: Buffer.from(links.map(linkTo).join('\n')) }
  if (body instanceof Uint8Array) return { type: 'application/octet-stream', bytes: body }
  if (body === undefined || typeof body === 'string')
    return { type: 'text/html; charset=utf-8', bytes: Buffer.from(body ?? '') }
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) }
}

function linkTo(link: string): string {
  const text = link.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
  return `<a href="${text}">${text}</a>`
}
