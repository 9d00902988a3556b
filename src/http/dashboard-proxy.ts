import { isSameSecret } from '../access/same-secret.ts'
import { randomBytes } from 'node:crypto'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import cookie from '@fastify/cookie'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { isPikoError, PikoError, toError } from '../errors.ts'
import { assertOwnSite } from './access/authenticate.ts'
import { API_BASE } from './api/plugin.ts'
import { dashboardRoutes } from './dashboard.ts'
import { listen } from './server.ts'

export interface ProxyOptions {
  /** The address of a node, such as `https://piko.example.com`. */
  readonly target: string
  /** The token to send with every request to the node. It never reaches the browser. */
  readonly token: string | undefined
  /** The port; 0: any free port. */
  readonly port: number
}

export interface DashboardProxy {
  /** The address to open. It contains a key that is valid only for this process, and that the browser exchanges for a cookie. */
  readonly url: string
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const COOKIE = 'piko_dashboard'
const KEY_BYTES = 32
const OPEN = '/open'
const BAD_GATEWAY = 502
const UNAUTHORIZED = 401
/** The headers of a request that the node needs. Cookies, origin and address are not sent, because they are valid only on this machine. */
const REQUEST_HEADERS = [
  'accept',
  'content-type',
  'content-length',
  'last-event-id',
  'idempotency-key',
  'if-none-match',
]
/** The headers of a response that the browser needs. */
const ANSWER_HEADERS = ['content-type', 'content-length', 'content-encoding', 'cache-control', 'etag', 'retry-after']

/**
 * Serves the dashboard on this machine, with the API of a node on another machine.
 *
 * The token stays in this process. Other users on this machine and pages of other sites can't use the token. A request needs the key of the
 * printed address, and must name this server as its host and origin.
 *
 * @throws PikoError `HTTP_LISTEN_FAILED`
 */
export async function serveDashboard({ target, token, port }: ProxyOptions): Promise<DashboardProxy> {
  const key = randomBytes(KEY_BYTES).toString('base64url')
  const server = fastify({ logger: false })
  await server.register(cookie)
  server.setErrorHandler((thrown, _request, reply) => answer(reply, toError(thrown)))
  server.addHook('onRequest', async (request) => assertOwnSite(request, []))
  server.get<{ Querystring: { key?: string } }>(OPEN, async (request, reply) => {
    if (!isSame(request.query.key, key)) throw locked()
    return reply.setCookie(COOKIE, key, { path: '/', httpOnly: true, sameSite: 'strict' }).redirect('/')
  })
  await server.register(
    async (api) => {
      // Bodies are passed on unchanged.
      api.removeAllContentTypeParsers()
      api.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      api.addHook('onRequest', async (request) => {
        if (!isSame(request.cookies[COOKIE], key)) throw locked()
      })
      api.all('/*', (request, reply) => forward(request, reply, { target, token }))
    },
    { prefix: API_BASE },
  )
  dashboardRoutes(server)
  const url = await listen(server, { host: HOST, port })
  return {
    url: `${url}${OPEN}?key=${key}`,
    close: () => closed(server),
  }
}

async function closed(server: FastifyInstance): Promise<void> {
  const end = server.close()
  server.server.closeAllConnections()
  await end
}

async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  { target, token }: Pick<ProxyOptions, 'target' | 'token'>,
): Promise<FastifyReply> {
  const found = await new Promise<IncomingMessage>((resolve, reject) => {
    const url = new URL(request.url, target)
    const headers = {
      ...some(request.headers, REQUEST_HEADERS),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const sent = send(url, { method: request.method, headers }, resolve)
    sent.once('error', reject)
    // A stream of events ends when its reader disconnects.
    reply.raw.once('close', () => sent.destroy())
    if (isStream(request.body)) request.body.pipe(sent)
    else sent.end()
  }).catch((cause: unknown) => {
    throw new PikoError('HTTP_FAILED', `${new URL(target).origin} does not answer: ${toError(cause).message}`, {
      cause,
    })
  })
  return reply
    .code(found.statusCode ?? BAD_GATEWAY)
    .headers(some(found.headers, ANSWER_HEADERS))
    .send(found)
}

function some(headers: IncomingMessage['headers'], names: readonly string[]): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {}
  for (const name of names) if (headers[name] !== undefined) found[name] = headers[name]
  return found
}

function isStream(body: unknown): body is NodeJS.ReadableStream {
  return typeof body === 'object' && body !== null && 'pipe' in body
}

function isSame(given: string | undefined, key: string): boolean {
  return isSameSecret(Buffer.from(given ?? ''), Buffer.from(key))
}

function locked(): PikoError {
  return new PikoError(
    'TOKEN_INVALID',
    'this browser has no key for this dashboard; open the address that piko dashboard has printed',
  )
}

function answer(reply: FastifyReply, error: Error): FastifyReply {
  const code = isPikoError(error) ? error.code : 'INTERNAL'
  const statuses: Readonly<Record<string, number>> = { TOKEN_INVALID: UNAUTHORIZED, ACCESS_DENIED: 403 }
  const status = statuses[code] ?? BAD_GATEWAY
  return reply.code(status).type('application/problem+json').send({ title: code, status, code, detail: error.message })
}
