import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { WebSocket, WebSocketServer } from 'ws'
import { stackOf, watchStray } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { aFunction, aText, expecting, listOf, problemsText, readOptions, wholeNumber } from '../options.ts'
import { optionalPackage } from '../optional-package.ts'
import { refuse, Upgrades } from './upgrades.ts'

/** A client of a WebSocket. */
export interface SocketClient {
  /**
   * Sends a value: a string, bytes, or anything else as JSON.
   *
   * @returns false if the value was not sent: the connection is not open, or the client reads too slowly and is now disconnected
   */
  send(value: unknown): boolean
  close(): void
}

export interface SocketsOptions {
  /** The path of the URL: `/ws`. */
  readonly path: string
  /** Called with each message: a string or bytes. It may be async. If it fails, the error is reported and the socket stays open. */
  readonly onMessage?: (message: string | Buffer, client: SocketClient) => unknown
  /** Called with each new client. */
  readonly onConnection?: (client: SocketClient) => unknown
  /** The maximum number of bytes that may wait for a slow client. Above that, the client is disconnected. Default 1 MB. */
  readonly maxBuffered?: number
  /** The maximum size of a client's message, in bytes. Default 1 MB. */
  readonly maxMessage?: number
  /** The maximum number of clients. Default 1,000. */
  readonly maxClients?: number
  /** Origins of pages that may connect, in addition to this server's own pages. */
  readonly origins?: readonly string[]
}

const MEGABYTE = 1_048_576
const PING_EACH_MS = 30_000
/** The close code for a client that reads too slowly: "try again later". */
const TOO_SLOW = 1_013

/**
 * WebSockets on a fastify server, with a bound for clients that read slowly. Needs the package `ws`.
 *
 * @throws PikoError `USAGE` that names every wrong option
 * @example
 * const prices = sockets({ path: '/ws', onMessage: (message, client) => client.send(message) })
 * await server.register(prices.plugin)
 * prices.broadcast({ eur: 1.1 })
 */
export function sockets(options: SocketsOptions): Sockets {
  const read = readOptions<SocketsOptions>(
    options,
    {
      path: expecting('a path such as "/ws"', (value) => typeof value === 'string' && value.startsWith('/')),
      onMessage: aFunction,
      onConnection: aFunction,
      maxBuffered: wholeNumber(1_024),
      maxMessage: wholeNumber(1),
      maxClients: wholeNumber(1),
      origins: listOf('strings', aText),
    },
    "{ path: '/ws' }",
    ['path'],
  )
  if (read.problems.length > 0)
    throw new PikoError('USAGE', problemsText('sockets', read.problems), { details: { problems: read.problems } })
  return new Sockets({ ...options, ...read.options })
}

/** The clients of one path. */
export class Sockets {
  readonly #options: SocketsOptions
  readonly #clients = new Map<WebSocket, { readonly client: SocketClient; isAlive: boolean }>()

  constructor(options: SocketsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#clients.size
  }

  /**
   * Sends a value to all clients. Clients that read too slowly are disconnected.
   *
   * @returns the number of clients to which the value was sent
   */
  broadcast(value: unknown): number {
    const data = dataOf(value)
    return [...this.#clients.keys()].filter((socket) => this.#send(socket, data)).length
  }

  /** Accepts clients on the server that registers this plugin. */
  readonly plugin: FastifyPluginAsync = async (server) => {
    const { WebSocketServer } = await optionalPackage('ws', 'a WebSocket server', () => import('ws'))
    const { maxMessage = MEGABYTE } = this.#options
    const accepting = new WebSocketServer({ noServer: true, maxPayload: maxMessage, perMessageDeflate: false })
    const remove = Upgrades.of(server.server).add(this.#options.path, (request, socket, head) =>
      this.#upgrade(accepting, request, socket, head),
    )
    const timer = setInterval(() => this.#ping(), PING_EACH_MS)
    timer.unref()
    closeWith(server, () => {
      clearInterval(timer)
      remove()
      for (const socket of this.#clients.keys()) socket.terminate()
    })
  }

  #upgrade(accepting: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { maxClients = 1_000 } = this.#options
    socket.on('error', () => {})
    if (!this.#isAllowed(request)) return refuse(socket, '403 Forbidden')
    if (this.#clients.size >= maxClients) return refuse(socket, '503 Service Unavailable')
    accepting.handleUpgrade(request, socket, head, (accepted) => this.#accepted(accepted))
  }

  /**
   * Whether a client may connect. A page of another site may not, because it would use the visitor's cookies. A program may: it sends no
   * origin.
   */
  #isAllowed({ headers: { origin, host } }: IncomingMessage): boolean {
    if (origin === undefined || this.#options.origins?.includes(origin)) return true
    return URL.canParse(origin) && new URL(origin).host === host
  }

  #accepted(socket: WebSocket): void {
    const client: SocketClient = {
      send: (value) => this.#send(socket, dataOf(value)),
      close: () => socket.close(),
    }
    const state = { client, isAlive: true }
    this.#clients.set(socket, state)
    socket.on('pong', () => void (state.isAlive = true))
    socket.on('close', () => void this.#clients.delete(socket))
    // The error is ignored here, because the event `close` follows.
    socket.on('error', () => {})
    socket.on('message', (data, isBinary) => {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)])
      call(() => this.#options.onMessage?.(isBinary ? bytes : bytes.toString(), client))
    })
    call(() => this.#options.onConnection?.(client))
  }

  #send(socket: WebSocket, data: string | Buffer): boolean {
    if (socket.readyState !== socket.OPEN) return false
    if (socket.bufferedAmount + data.length > (this.#options.maxBuffered ?? MEGABYTE)) {
      this.#clients.delete(socket)
      socket.close(TOO_SLOW, 'reads too slowly')
      // The connection is closed immediately, because a client that does not read would not answer the close message either.
      socket.terminate()
      return false
    }
    socket.send(data, { binary: typeof data !== 'string' })
    return true
  }

  #ping(): void {
    for (const [socket, state] of this.#clients) {
      if (!state.isAlive) socket.terminate()
      state.isAlive = false
      socket.ping()
    }
  }
}

function dataOf(value: unknown): string | Buffer {
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value)
  return JSON.stringify(value) ?? 'null'
}

function closeWith(server: FastifyInstance, close: () => void): void {
  server.addHook('preClose', (done) => {
    close()
    done()
  })
}

function call(handler: () => unknown): void {
  try {
    watchStray(handler(), report)
  } catch (error) {
    report(error)
  }
}

function report(error: unknown): void {
  process.emitWarning(`a handler of a WebSocket failed: ${stackOf(error)}`, 'PikoListenerWarning')
}
