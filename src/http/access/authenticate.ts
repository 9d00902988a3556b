import type { FastifyRequest } from 'fastify'
import type { Actor } from '../../access/actor.ts'
import { PikoError } from '../../errors.ts'
import type { Access } from '../../operations/tokens/access.ts'
import { isLoopback } from '../../access/loopback.ts'
import { hostOf, isOwnHost, isOwnOrigin } from './addresses.ts'

/** The cookie of a browser's session. */
export const SESSION_COOKIE = 'piko_session'

export interface AccessRules {
  /** Names by which clients reach this server, apart from IP addresses and this machine's own name. */
  readonly hosts: readonly string[]
  /** Whether a request from this machine is accepted without a token. */
  readonly allowsLocal: boolean
  /** Whether a request that comes from this machine counts as local even if a proxy has forwarded it. */
  readonly trustsForwarded: boolean
}

const LOCAL: Actor = { kind: 'local', name: 'loopback', role: 'admin' }
const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS']
/** Headers of proxies, in addition to all `X-Forwarded-*`. A request with one of them is considered to come from another machine. */
const OF_PROXIES = new Set([
  ...['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'x-original-host', 'x-original-url'],
  ...['true-client-ip', 'cf-connecting-ip', 'fastly-client-ip', 'x-envoy-external-address', 'x-envoy-original-path'],
])

/**
 * Refuses requests that another website makes a browser send: requests for a foreign host, and requests with a foreign origin.
 *
 * @throws PikoError `ACCESS_DENIED`
 */
export function assertOwnSite(request: FastifyRequest, hosts: readonly string[]): void {
  const { host: header, origin } = request.headers
  const host = hostOf(header)
  if (host === undefined || !isOwnHost(host, hosts)) {
    throw denied(
      'host',
      `this server does not answer for the host ${JSON.stringify((header ?? '').slice(0, 100))}; add its name to [http] hosts`,
    )
  }
  const isForeign = origin !== undefined && !isOwnOrigin(origin, header, hosts)
  const site = request.headers['sec-fetch-site']
  // A link from another site to a page of this server is harmless. A request by a script or a form of another site is not.
  const isCross = origin === undefined && (site === 'cross-site' || site === 'same-site') && !isNavigation(request)
  if (isForeign || isCross) {
    throw denied(
      'origin',
      `a page of ${JSON.stringify((origin ?? 'another site').slice(0, 100))} is not allowed to use this API; only pages of this server and of [http] hosts may`,
    )
  }
}

function isNavigation({ method, headers }: FastifyRequest): boolean {
  return SAFE_METHODS.includes(method) && headers['sec-fetch-mode'] === 'navigate'
}

/**
 * Returns the actor of a request: the owner of its bearer token, otherwise the owner of its session, otherwise this machine.
 *
 * @throws PikoError `TOKEN_INVALID`, `ACCESS_DENIED`, and the errors of the database
 */
export async function actorOf(request: FastifyRequest, access: Access, rules: AccessRules): Promise<Actor> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const [, secret] = /^Bearer +([!-~]+)$/i.exec(authorization) ?? []
    const actor = secret === undefined ? undefined : await access.verify(secret)
    return actor ?? refuse('the token is unknown, revoked or expired')
  }
  const cookie = request.cookies[SESSION_COOKIE]
  if (cookie !== undefined) {
    const actor = await access.session(cookie)
    if (actor) {
      assertSameOrigin(request)
      return actor
    }
    if (!isLocal(request, rules)) return refuse('the session has ended; log in again')
  }
  if (isLocal(request, rules)) return LOCAL
  const proxy = rules.allowsLocal ? proxyHeaderOf(request.headers) : undefined
  if (proxy === undefined) return refuse('no token was sent')
  return refuse(
    `no token was sent, and the header ${proxy} says that a proxy forwarded the request, perhaps from another machine ([http] trust_forwarded allows it)`,
  )
}

/**
 * Refuses a request that changes data, unless a page of this server sent it. A browser attaches the cookie automatically, so the cookie
 * alone proves nothing.
 */
function assertSameOrigin({ method, headers }: FastifyRequest): void {
  if (SAFE_METHODS.includes(method)) return
  // Accepts either header, because a browser sends at least one of them with each request that changes data. `assertOwnSite` has already
  // checked that their values belong to this server.
  if (headers.origin !== undefined || headers['sec-fetch-site'] === 'same-origin') return
  throw denied(
    'origin',
    'a request that changes data with a session cookie needs the header Origin; programs should send a token instead',
  )
}

/** Returns the name of a header that only proxies add; undefined if the request has none. */
function proxyHeaderOf(headers: FastifyRequest['headers']): string | undefined {
  return Object.keys(headers).find((name) => name.startsWith('x-forwarded') || OF_PROXIES.has(name))
}

function isLocal({ socket, headers, ip }: FastifyRequest, { allowsLocal, trustsForwarded }: AccessRules): boolean {
  if (!allowsLocal || (!trustsForwarded && proxyHeaderOf(headers) !== undefined)) return false
  const { localAddress } = socket
  return (
    isLoopback(ip) && (localAddress === undefined || isLoopback(localAddress)) && isLoopback(hostOf(headers.host) ?? '')
  )
}

function refuse(why: string): never {
  throw new PikoError('TOKEN_INVALID', `${why}; send Authorization: Bearer <token> (piko tokens create creates one)`)
}

export function denied(reason: 'host' | 'origin' | 'role' | 'jobs', text: string, details: object = {}): PikoError {
  return new PikoError('ACCESS_DENIED', text, { details: { reason, ...details } })
}
