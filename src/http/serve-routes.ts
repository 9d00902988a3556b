import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { headline } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import type { IncomingMessage } from '../link/carrier/carrier.ts'
import { type CallForm, readCall } from '../calls/call-checks.ts'
import { BODY_CHECKS } from '../link/link-options.ts'
import { Body, type BodyLimits, DEFAULT_BODY_LIMITS } from '../link/message/body.ts'
import { respond } from '../link/routes/respond.ts'
import { Routes } from '../link/routes/define-routes.ts'
import type { HttpMethod } from '../link/routes/route-types.ts'
import { ServedRequest } from '../link/routes/served-request.ts'
import { RouteTable } from '../link/routes/table.ts'
import type { BodyType } from '../link/wire/head.ts'
import type { Logger } from '../logger.ts'
import { expecting, listOf } from '../options.ts'
import { aLog } from '../service/service-options.ts'
import { sendReply } from './send-reply.ts'

export interface ServeRoutesOptions extends Partial<BodyLimits> {
  /** Receives errors of handlers that the client does not see. Default: process warnings. */
  readonly log?: Logger
}

const FORM: CallForm<ServeRoutesOptions> = {
  call: 'serveRoutes',
  checks: { ...BODY_CHECKS, log: aLog },
  example: '{ maxJsonBytes: 1_048_576 }',
}
const someRoutes = listOf(
  'routes',
  expecting('the result of defineRoutes', (value) => value instanceof Routes),
)

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const LEVEL = 1

/**
 * Creates a fastify plugin that serves routes over HTTP. Paths, bodies, statuses and errors are the same as over a link. The query is
 * `meta`, or the body of a `GET`. A `HEAD` calls the handler of the `GET`. A stream of values is sent as lines of JSON.
 *
 * @throws PikoError `USAGE` for wrong options, or if two routes have the same path
 * @example
 * const server = fastify()
 * await server.register(serveRoutes(users))
 */
export function serveRoutes(routes: Routes | readonly Routes[], given: ServeRoutesOptions = {}): FastifyPluginAsync {
  const roots = routes instanceof Routes ? [routes] : routes
  const options = readCall(FORM, { routes: [roots, someRoutes] }, given)
  const table = new RouteTable(roots, (error) => told(options.log, error, 'a change of the routes'))
  const limits = { ...DEFAULT_BODY_LIMITS, ...options }
  return async (server) => {
    server.addHook('onClose', () => table.release())
    takeAnyBody(server)
    const handler = (request: FastifyRequest, reply: FastifyReply): Promise<unknown> =>
      answered(table, limits, options.log, request, reply)
    // All routes with the same prefix share one fastify route, so that routes can be added and removed while the server runs.
    for (const prefix of new Set(roots.map(({ options: { prefix = '' } }) => prefix.replace(/\/$/, '')))) {
      if (prefix !== '') server.route({ method: METHODS, url: prefix, exposeHeadRoute: false, handler })
      server.route({ method: METHODS, url: `${prefix}/*`, exposeHeadRoute: false, handler })
    }
  }
}

/** Makes fastify accept any body, because the routes read bodies themselves, within their own limits. */
function takeAnyBody(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
}

async function answered(
  table: RouteTable,
  limits: BodyLimits,
  log: Logger | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const path = request.url.split('?', 1)[0] ?? ''
  // A HEAD is answered as a GET, but without the body.
  const isHead = request.method === 'HEAD'
  const method = isHead ? 'GET' : (request.method as HttpMethod)
  const found = table.find(path, method)
  const { query } = request
  const served = new ServedRequest({ path, found, headers: headersOf(request), meta: query, level: LEVEL, via: 'http' })
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) served.abort(new PikoError('LINK_CANCELLED', 'the client closed the connection'))
  })
  const failed = (error: unknown): void => told(log, error, `the handler of "${path}"`)
  const body = new Body(method === 'GET' ? ofQuery(query) : ofPayload(request), limits)
  return sendReply(await respond(found, served, body, failed), { found, served, reply, isHead, failed })
}

function told(log: Logger | undefined, error: unknown, what: string): void {
  if (log) log.error({ err: error }, `${what} failed`)
  else process.emitWarning(`${what} failed: ${headline(error)}`, 'PikoLinkWarning')
}

function headersOf({ headers }: FastifyRequest): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) texts[name] = Array.isArray(value) ? value.join(', ') : value
  return texts
}

function typeOf(contentType: string | undefined): BodyType {
  if (contentType === undefined || /^application\/(?:[\w.-]+\+)?json\b/i.test(contentType)) return 'json'
  return /^application\/x-ndjson\b/i.test(contentType) ? 'lines' : 'raw'
}

/** Converts the body of an HTTP request to a message. */
function ofPayload(request: FastifyRequest): IncomingMessage {
  const payload = request.body instanceof Readable ? request.body : undefined
  const chunks = payload?.[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined> | undefined
  const length = Number(request.headers['content-length'])
  return message(typeOf(request.headers['content-type']), Number.isSafeInteger(length) ? length : undefined, {
    read: async () => (await chunks?.next())?.value,
    // The rest of the body is read and dropped, because the client must still receive the response.
    stop: () => void payload?.resume(),
  })
}

function ofQuery(query: unknown): IncomingMessage {
  let left: Buffer | undefined = Buffer.from(JSON.stringify(query))
  const read = async (): Promise<Buffer | undefined> => {
    const bytes = left
    left = undefined
    return bytes
  }
  return message('json', undefined, { read, stop: () => {} })
}

function message(
  type: BodyType,
  size: number | undefined,
  { read, stop }: { read: () => Promise<Buffer | undefined>; stop: () => void },
): IncomingMessage {
  return {
    id: 0,
    level: LEVEL,
    head: { kind: 'request', type, ...(size !== undefined && { size }) },
    end: undefined,
    take: () => undefined,
    read,
    used: () => {},
    cancel: stop,
    onCancelled: () => {},
    release: () => {},
  }
}
