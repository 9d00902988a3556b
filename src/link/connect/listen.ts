import { chmodSync, statSync, unlinkSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { connect, createServer as createTcp, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from 'node:tls'
import { aFunction, aTable, aText, flag, wholeNumber } from '../../options.ts'
import { messageOf, propertyOf, safely } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { Service } from '../../service/service.ts'
import { encodedEvent } from '../content.ts'
import type { Link } from '../link.ts'
import { checkedEvent, limitsOf, linkCall, type LinkOptions } from '../link-options.ts'
import { RouteTable } from '../routes/table.ts'
import { isLoopback } from '../../access/loopback.ts'
import { addressText } from './address.ts'
import { Arrivals } from './arrivals.ts'
import { awaitPreface } from './first-bytes.ts'
import { HalfOpen, type HalfOpenConnection } from './half-open.ts'
import { linkOver } from './link-of.ts'
import { acceptSockets } from './websocket.ts'

export interface ListenOptions extends LinkOptions {
  /** The address to listen on. Default `127.0.0.1`. An address that other machines can reach needs `tls` and `secret`. */
  readonly host?: string
  /** The port to listen on; 0: any free port. */
  readonly port?: number
  /** The path of a Unix socket to use instead of a port. Only the same user can connect. With `websocket`, this is the path of the URL. */
  readonly path?: string
  /** Options of Node's `tls.createServer`, such as `cert` and `key`. */
  readonly tls?: TlsOptions
  /** Accepts WebSockets instead of plain connections. Needs the package `ws`. */
  readonly websocket?: boolean
  /** Called with each new link when its handshake is finished. */
  readonly onConnection?: (link: Link) => unknown
  /** The maximum number of open links. Default 1,000. Further connections are refused. */
  readonly maxConnections?: number
}

/**
 * How many connections may be in their handshake at the same time, including TLS and the WebSocket upgrade. A further one replaces another.
 */
const MAX_HANDSHAKES = 100
const DEFAULT_CONNECTIONS = 1_000
const UPGRADE_REQUIRED = 426
/** How long a broadcast waits for links that read slowly. */
const ACCEPT_MS = 1_000
/** Refused connections are only counted; this is how often the count may be logged. */
const LOG_EACH_MS = 60_000

/**
 * Creates a service that accepts links. Start it, or add it to a tree of services with `app.addService`.
 *
 * @throws PikoError `USAGE` that names every wrong option, or if other machines could connect without TLS and a secret
 * @example
 * const server = listen({ port: 9466, routes: [users] })
 * await server.start()
 */
export function listen(given: ListenOptions): LinkServer {
  const options = linkCall<ListenOptions>(
    'listen',
    given,
    {
      host: aText,
      port: wholeNumber(0, 65_535),
      path: aText,
      tls: aTable,
      websocket: flag,
      onConnection: aFunction,
      maxConnections: wholeNumber(1),
    },
    '{ port: 9466 }',
  )
  const problem = problemOf(options)
  if (problem !== undefined) throw new PikoError('USAGE', `listen: ${problem}`)
  return new LinkServer(options)
}

function problemOf({ host, port, path, tls, secret, websocket }: ListenOptions): string | undefined {
  const isUnix = path !== undefined && websocket !== true
  if (isUnix && (host !== undefined || port !== undefined)) return 'pass a port or the path of a Unix socket, not both'
  if (!isUnix && port === undefined)
    return 'neither port nor path is given; pass { port: 9466 } or { path: "/run/app.sock" }'
  if (isUnix || host === undefined || isLoopback(host)) return undefined
  if (tls && secret !== undefined) return undefined
  const missing = [...(tls ? [] : ['tls']), ...(secret === undefined ? ['secret'] : [])].join(' and ')
  return `host ${host} can be reached from other machines; pass ${missing} too, or listen on 127.0.0.1`
}

/** Accepts links, and serves routes to them. */
export class LinkServer extends Service {
  readonly #options: ListenOptions
  /** All links share this table. A table for each connection would make even a refused connection expensive. */
  readonly #table: RouteTable
  readonly #links = new Set<Link>()
  /** The connections whose handshake, TLS handshake or WebSocket upgrade has not finished. */
  readonly #halfOpen = new HalfOpen<HalfOpenConnection>(MAX_HANDSHAKES)
  #arrivals: Arrivals | undefined
  #server: Server | undefined
  #url: string | undefined
  #refused = { count: 0, loggedAtMs: -Infinity }

  constructor(options: ListenOptions) {
    super({ name: 'link', ...(options.log && { log: options.log }) })
    this.#options = options
    this.#table = new RouteTable(options.routes ?? [], (error) => this.#routesRefused(error))
  }

  /** The address to dial; undefined before the first start. */
  get url(): string | undefined {
    return this.#url
  }

  /** The open links. */
  get links(): ReadonlySet<Link> {
    return this.#links
  }

  /**
   * Emits an event on all links. A link does not get the event if it reads so slowly that 8 MB of earlier events are waiting for it.
   *
   * @returns the number of links whose connection has accepted the event within a second
   * @throws PikoError `USAGE` if the name is wrong, the payload is a stream, or JSON can't represent it
   */
  async broadcast(name: string, payload?: unknown): Promise<number> {
    checkedEvent(name)
    const encoded = encodedEvent(payload)
    let sent = 0
    const all = [...this.#links].map((link) =>
      link.emitEncoded(name, encoded).then(
        () => void sent++,
        () => {},
      ),
    )
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, ACCEPT_MS)
    await Promise.race([Promise.all(all), late.promise])
    clearTimeout(timer)
    return sent
  }

  protected override async onStart(): Promise<void> {
    const { websocket, path, ...options } = this.#options
    const { handshakeMs } = limitsOf(options)
    const tls = options.tls && { handshakeTimeout: handshakeMs, ...options.tls }
    const accept = (duplex: Duplex, socket: Socket): void => this.#accept(duplex, socket)
    // Node's modules for HTTP and TLS need 15 MB of memory, and most listeners do not use them.
    if (websocket) {
      const server = tls
        ? (await import('node:https')).createServer(tls, onlyUpgrades)
        : (await import('node:http')).createServer(onlyUpgrades)
      this.#server = server
      await acceptSockets(server, path, accept)
    } else {
      const ready = (socket: Socket): void => accept(socket, socket)
      this.#server = tls ? (await import('node:tls')).createServer(tls, ready) : createTcp({ noDelay: true }, ready)
    }
    // Only the same user can connect to a Unix socket, and its connections have no addresses to tell them apart.
    if (websocket || (tls && path === undefined)) this.#arrivals = this.#watched(this.#server, handshakeMs)
    this.#server.on('connection', (socket) => void socket.on('error', () => {}))
    await this.#listen(this.#server)
  }

  protected override async onStop(): Promise<void> {
    this.#server?.close()
    this.#halfOpen.closeAll()
    await Promise.all([...this.#links].map((link) => link.close()))
    this.#server = undefined
  }

  #watched(server: Server, ms: number): Arrivals {
    return new Arrivals(server, { ms, halfOpen: this.#halfOpen, refused: () => this.#refuse() })
  }

  #accept(duplex: Duplex, socket: Socket): void {
    this.#arrivals?.ready(socket)
    if (!this.#hasRoom) {
      duplex.on('error', () => {})
      duplex.destroy()
      return this.#refuse()
    }
    const arrival: HalfOpenConnection = {
      address: socket.remoteAddress,
      close: awaitPreface(duplex, limitsOf(this.#options).handshakeMs, (isPreface) => {
        this.#halfOpen.delete(arrival)
        if (isPreface && this.#hasRoom) return this.#begin(duplex, arrival.address)
        duplex.destroy()
        this.#refuse()
      }),
    }
    this.#halfOpen.add(arrival)
  }

  get #hasRoom(): boolean {
    return this.#links.size < (this.#options.maxConnections ?? DEFAULT_CONNECTIONS) && !this.shouldStop
  }

  #begin(duplex: Duplex, address: string | undefined): void {
    const ownsChunks = this.#options.websocket !== true
    const link = linkOver(duplex, { ...this.#options, role: 'listen' }, { table: this.#table, ownsChunks })
    const handshake = { address, close: () => link.destroy() }
    void this.#follow(link, handshake)
    this.#halfOpen.add(handshake)
  }

  async #follow(link: Link, handshake: HalfOpenConnection): Promise<void> {
    try {
      await link.ready()
    } catch {
      // If the other end uses the protocol, it gets the reason. Here the refusal is only counted.
      return this.#refuse()
    } finally {
      this.#halfOpen.delete(handshake)
    }
    this.#links.add(link)
    void this.#welcome(link)
    await link.whenClosed()
    this.#links.delete(link)
  }

  async #welcome(link: Link): Promise<void> {
    try {
      await this.#options.onConnection?.(link)
    } catch (error) {
      this.log.error({ err: error }, 'onConnection failed; the link stays open')
    }
  }

  #routesRefused(error: unknown): void {
    this.log.error({ err: error }, 'a change of the routes cannot take effect; the previous routes stay in force')
  }

  #refuse(): void {
    const { count, loggedAtMs } = this.#refused
    const nowMs = this.clock.monotonic()
    this.#refused.count++
    if (nowMs - loggedAtMs < LOG_EACH_MS) return
    this.#refused = { count: 0, loggedAtMs: nowMs }
    this.log.warn({ refused: count + 1 }, 'refused connections that did not complete the handshake of a link')
  }

  async #listen(server: Server): Promise<void> {
    const { host = '127.0.0.1', path, websocket, tls } = this.#options
    if (path !== undefined && websocket !== true) {
      await listenAt(server, path)
      this.#url = addressText({ kind: 'unix', path })
      return
    }
    const before =
      this.#url === undefined ? undefined : Number(new URL(this.#url.replace(/^piko(\+tls)?:/, 'http:')).port)
    const port = await listenOn(server, host, before ?? this.#options.port ?? 0)
    const name = host.includes(':') ? `[${host}]` : host
    this.#url = websocket
      ? `${tls ? 'wss' : 'ws'}://${name}:${port}${path ?? '/'}`
      : addressText({ kind: tls ? 'tls' : 'tcp', host, port })
  }
}

/** Answers requests that do not ask for a WebSocket; otherwise their clients would wait for a response until the connection is closed. */
function onlyUpgrades(_request: unknown, response: ServerResponse): void {
  response.writeHead(UPGRADE_REQUIRED, { connection: 'close', upgrade: 'websocket' }).end()
}

async function listenOn(server: Server, host: string, port: number): Promise<number> {
  await opened(server, `${host}:${port}`, () => server.listen({ host, port }))
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}

/** Listens on a Unix socket that only the same user can open. Replaces the file of a process that no longer listens. */
async function listenAt(server: Server, path: string): Promise<void> {
  if (await isAbandoned(path)) unlinkSync(path)
  // The umask is set first, because the file must never have other permissions, not even for a moment. A thread can't set it.
  const before = safely(() => process.umask(0o177), undefined)
  const listening = opened(server, path, () => server.listen({ path }))
  if (before !== undefined) process.umask(before)
  await listening
  chmodSync(path, 0o600)
}

async function isAbandoned(path: string): Promise<boolean> {
  // A connection to a file that is not a socket fails in the same way.
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect({ path })
  probe.once('connect', () => resolve(false))
  probe.once('error', (error) => resolve(propertyOf(error, 'code') === 'ECONNREFUSED'))
  const isFree = await promise
  probe.destroy()
  return isFree
}

async function opened(server: Server, where: string, listenNow: () => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.once('listening', resolve)
  listenNow()
  try {
    await promise
  } catch (cause) {
    const message = `a link cannot listen on ${where}: ${messageOf(cause)}; choose another address, or end the program that uses it`
    throw new PikoError('LINK_LISTEN_FAILED', message, { cause, details: { where } })
  } finally {
    server.off('error', reject)
  }
  // Errors of single connections, for example too many open files, must not end the process.
  server.on('error', () => {})
}
