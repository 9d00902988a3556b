import type { Socket } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { isError, messageOf } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import type { ApiApp } from './api/handler.ts'
import { API_BASE, apiPlugin } from './api/plugin.ts'
import type { AccessOptions } from './access/plugin.ts'
import type { TlsPair } from './access/tls.ts'
import { Connections } from './connections.ts'
import { dashboardRoutes } from './dashboard.ts'
import { graphRoutes, type GraphSource } from './graph.ts'
import { healthRoutes, type HealthSource } from './health.ts'
import { metricsRoutes, type MetricsSource } from './metrics.ts'
import type { Logger } from '../logger.ts'

/** Where the server's data comes from. The server does not own any of these objects. */
export interface HttpDeps extends HealthSource, MetricsSource, GraphSource {
  /** Logs every failed request with a status of 500 or more, except 501. */
  readonly logger?: Logger
  /** The app whose API is served. Without it, there is no API. */
  readonly app?: ApiApp
  /** How to check requests to the API; required with `app`. */
  readonly access?: AccessOptions
  readonly tls?: TlsPair | undefined
  /** The maximum size of a request's body, in bytes. Default 1 MiB. */
  readonly bodyLimit?: number
}

/** The body of an error response outside of the API. */
interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string }
}

const REQUEST_TIMEOUT_MS = 10_000
const ANSWER_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 5_000
/** If a connection has no traffic for this time, it is closed: no request arrives, or the client does not read the response. */
const SILENT_MS = 30_000
const CHECK_CONNECTIONS_MS = 1_000
/** A job's id has up to 255 characters, and each may become nine characters in a URL. */
const MAX_PARAM_LENGTH = 2_500
/** How long a stop waits for responses in progress. */
const CLOSE_GRACE_MS = 1_000
/** The status if a response needs an optional package that is not installed. */
const NOT_IMPLEMENTED = 501

/**
 * Builds the server with every route; it does not listen yet. If a response takes longer than ten seconds, the client gets a 503.
 * Connections without traffic, and those with an incomplete request, are closed. `close()` closes connections without a complete request
 * immediately, and all others after a second.
 */
export function buildServer(deps: HttpDeps): FastifyInstance {
  const server: FastifyInstance = fastify({
    logger: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    handlerTimeout: ANSWER_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    connectionTimeout: SILENT_MS,
    ...(deps.bodyLimit !== undefined && { bodyLimit: deps.bodyLimit }),
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: CHECK_CONNECTIONS_MS },
    // With this option, fastify serves HTTPS. The cast is needed because such a server has another type.
    ...(deps.tls && ({ https: deps.tls } as object)),
    frameworkErrors: (error, request, reply) => void answerError(deps, error, request, reply),
    clientErrorHandler: answerBrokenRequest,
  })
  const connections = endConnectionsAtClose(server)
  server.addHook('onRequest', async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
  })
  server.setErrorHandler((error, request, reply) => answerError(deps, toError(error), request, reply))
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send(errorBody('NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0]}`)),
  )
  healthRoutes(server, deps)
  metricsRoutes(server, deps)
  graphRoutes(server, deps)
  const { app, access, logger } = deps
  if (app && access) {
    void server.register(apiPlugin, { prefix: API_BASE, app, access, facts: connections, logger })
    dashboardRoutes(server)
  }
  return server
}

/** Closes all connections when the server stops, so that no client can delay the stop. */
function endConnectionsAtClose(server: FastifyInstance): Connections {
  const connections = new Connections(server.server)
  server.addHook('preClose', (done) => {
    connections.endIdle()
    const late = setTimeout(() => connections.endAll(), CLOSE_GRACE_MS)
    server.server.once('close', () => clearTimeout(late))
    done()
  })
  return connections
}

/**
 * Starts to listen.
 *
 * @param port 0: any free port
 * @returns the server's address, such as `http://127.0.0.1:8080`
 * @throws PikoError `HTTP_LISTEN_FAILED`
 */
export async function listen(server: FastifyInstance, options: { host: string; port: number }): Promise<string> {
  const { host, port } = options
  try {
    return await server.listen({ host, port })
  } catch (error) {
    const code = isError(error) && 'code' in error ? String(error.code) : ''
    throw new PikoError('HTTP_LISTEN_FAILED', `cannot listen on ${host}:${port}: ${reasonOf(code, error)}`, {
      cause: error,
      details: { host, port, reason: code },
    })
  }
}

function reasonOf(code: string, error: unknown): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is in use; set [http] port (PIKO_HTTP__PORT) to a free one, or 0 for any'
    case 'EACCES':
      return 'this user is not allowed to open the port; set [http] port (PIKO_HTTP__PORT) to one above 1023'
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host is not an address of this machine; set [http] host (PIKO_HTTP__HOST), for instance to 0.0.0.0 for all'
    default:
      return `${messageOf(error)}; set [http] host and port (PIKO_HTTP__HOST, PIKO_HTTP__PORT)`
  }
}

function errorBody(code: string, message: string): ErrorBody {
  return { error: { code, message } }
}

function statusOf(error: Error): number {
  if (isPikoError(error, 'PACKAGE_MISSING')) return NOT_IMPLEMENTED
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
}

/** Sends the response to a failed request. Internal errors are only logged, because these endpoints need no authentication. */
function answerError(deps: HttpDeps, error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const declared = statusOf(error)
  const status = declared >= 400 ? declared : 500
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'REQUEST_INVALID'
  void reply.code(status).header('cache-control', 'no-store')
  if (status < 500 || status === NOT_IMPLEMENTED) return reply.send(errorBody(code, error.message))
  deps.logger?.error(
    { err: error, method: request.method, url: request.url },
    'a request to the HTTP server failed; the client got an error response',
  )
  const shown = isPikoError(error) || status !== 500 ? code : 'INTERNAL'
  return reply.send(errorBody(shown, "the server could not answer; see this node's log"))
}

/** Sends the response to an invalid or incomplete request, which has no request object. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const status = isLate ? '408 Request Timeout' : '400 Bad Request'
  const body = JSON.stringify(
    isLate
      ? errorBody('REQUEST_TIMEOUT', `the request did not arrive within ${REQUEST_TIMEOUT_MS / 1_000} s`)
      : errorBody('REQUEST_INVALID', 'this is not an HTTP request'),
  )
  const head = [`HTTP/1.1 ${status}`, 'content-type: application/json; charset=utf-8', 'cache-control: no-store']
  socket.end(`${head.join('\r\n')}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`)
}
