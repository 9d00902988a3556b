import cookie from '@fastify/cookie'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../access/actor.ts'
import { isPikoError, PikoError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import type { Access } from '../../operations/tokens/access.ts'
import type { JobOf, Role } from '../../api/actor.ts'
import { assertJobs, assertRole } from './allowed.ts'
import { type AccessRules, actorOf, assertOwnSite } from './authenticate.ts'
import { sessionRoutes } from './session.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The user or program that sends the request. */
    actor: Actor
    /** Checks the token or the session again, for long responses. @throws PikoError `TOKEN_INVALID` if it is no longer valid */
    authenticate(): Promise<Actor>
    /**
     * Checks that the actor has a role, if the request needs more than its route.
     *
     * @throws PikoError `ACCESS_DENIED`
     */
    assertRole(role: Role): Promise<void>
    /**
     * Checks that the actor may use the jobs of the request.
     *
     * @throws PikoError `ACCESS_DENIED` if the actor is limited to jobs, and the request is not only about these
     */
    assertJobs(about: JobOf | undefined): Promise<void>
  }
}

/** The options for checking requests to the API. */
export interface AccessOptions extends AccessRules {
  readonly access: Access
  readonly events: Pick<Events, 'emit'>
  /** The maximum number of requests of one actor in a minute; 0: no limit. */
  readonly perMinute: number
  readonly hasTls: boolean
}

/** The maximum number of requests with a wrong token from one address in a minute, if there is a rate limit. */
const WRONG_PER_MINUTE = 60
const MINUTE_MS = 60_000
/** The maximum number of clients whose requests are counted at the same time. */
const MAX_CLIENTS = 10_000
const ONE_YEAR_S = 31_536_000
const UNKNOWN: Actor = { kind: 'token', name: '', role: 'viewer', jobs: [] }

/**
 * Adds the checks of requests to a server, or to a part of it. They concern the host, origin, token, rate and role. Also adds security
 * headers.
 */
export async function addAccess(server: FastifyInstance, options: AccessOptions): Promise<void> {
  const { access, events, perMinute, hasTls } = options
  // A user's own server may have these already.
  if (!server.hasRequestDecorator('cookies')) await server.register(cookie)
  if (!server.hasReplyDecorator('helmet'))
    await server.register(helmet, { ...HEADERS, strictTransportSecurity: hasTls ? { maxAge: ONE_YEAR_S } : false })
  if (!server.hasDecorator('createRateLimit')) await server.register(rateLimit, { global: false, cache: MAX_CLIENTS })
  const rate = { timeWindow: MINUTE_MS, cache: MAX_CLIENTS }
  const countWrong = server.createRateLimit({
    ...rate,
    max: perMinute > 0 ? WRONG_PER_MINUTE : Number.MAX_SAFE_INTEGER,
    keyGenerator: ({ ip }) => `wrong ${ip}`,
  })
  const count =
    perMinute > 0
      ? server.createRateLimit({ ...rate, max: perMinute, keyGenerator: ({ actor }) => `${actor.kind} ${actor.name}` })
      : undefined
  server.decorateRequest('actor')
  server.decorateRequest('authenticate', function (this: FastifyRequest) {
    return actorOf(this, access, options)
  })
  server.decorateRequest('assertRole', function (this: FastifyRequest, role: Role) {
    return noting(events, this, async () => assertRole(this.actor, role))
  })
  server.decorateRequest('assertJobs', function (this: FastifyRequest, about: JobOf | undefined) {
    return noting(events, this, () => assertJobs(this.actor, about, access))
  })
  server.addHook('onRequest', async (request, reply) => {
    request.actor = UNKNOWN
    await noting(events, request, async () => {
      assertOwnSite(request, options.hosts)
      const { piko } = request.routeOptions.config
      assertRate(await countWrong(request, { increment: false }), reply)
      if (piko?.isPublic) return
      request.actor = await countingWrong(request, reply, countWrong, () => request.authenticate())
      if (count && request.actor.kind !== 'local') assertRate(await count(request), reply)
      assertRole(request.actor, piko?.role ?? 'viewer')
    })
  })
  sessionRoutes(server, options, (request, reply, login) =>
    noting(events, request, () => countingWrong(request, reply, countWrong, login)),
  )
}

type Count = ReturnType<FastifyInstance['createRateLimit']>

/** Counts a wrong token. If one address sends too many, all its requests are refused without querying the database. */
async function countingWrong<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  countWrong: Count,
  check: () => Promise<T>,
): Promise<T> {
  try {
    return await check()
  } catch (thrown) {
    if (isPikoError(thrown, 'TOKEN_INVALID')) {
      void reply.header('www-authenticate', 'Bearer realm="piko"')
      assertRate(await countWrong(request), reply)
    }
    throw thrown
  }
}

function assertRate(limit: Awaited<ReturnType<Count>>, reply: FastifyReply): void {
  if (limit.isAllowed || !limit.isExceeded) return
  void reply.header('retry-after', String(limit.ttlInSeconds))
  throw new PikoError(
    'RATE_LIMITED',
    `more than ${limit.max} requests within a minute; try again in ${limit.ttlInSeconds} s`,
    {
      details: { max: limit.max, retryAfterSeconds: limit.ttlInSeconds },
    },
  )
}

/** Runs a check of a request. If the check refuses the request, emits `request.refused` and throws the same error. */
async function noting<T>(events: Pick<Events, 'emit'>, request: FastifyRequest, check: () => Promise<T>): Promise<T> {
  try {
    return await check()
  } catch (thrown) {
    if (isPikoError(thrown)) {
      const route = `${request.method} ${request.routeOptions.url ?? 'unknown'}`
      const actor = request.actor === UNKNOWN ? undefined : request.actor.name
      events.emit('request.refused', { code: thrown.code, route, actor })
    }
    throw thrown
  }
}

const HEADERS = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      fontSrc: ["'self'"],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
  },
  xFrameOptions: { action: 'deny' },
  referrerPolicy: { policy: 'no-referrer' },
} as const
