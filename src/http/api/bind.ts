import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Role } from '../../api/actor.ts'
import type { AnyRoute } from '../../api/routes.ts'
import { ANY_ROUTES } from '../../api/routes.ts'
import { withActor } from '../../operations/audit/acting.ts'
import { allowedRequest } from './checked.ts'
import { backfillHandlers } from './handlers/backfills.ts'
import { batchHandlers } from './handlers/batches.ts'
import { configHandlers } from './handlers/configs.ts'
import { crawlHandlers } from './handlers/crawls.ts'
import { cacheHandlers, limitHandlers, lockHandlers, resourceHandlers, serviceHandlers } from './handlers/fleet.ts'
import { doctorHandlers } from './handlers/doctor.ts'
import { itemHandlers } from './handlers/items.ts'
import { jobHandlers } from './handlers/jobs.ts'
import { liveHandlers } from './handlers/live.ts'
import { nodeHandlers } from './handlers/nodes.ts'
import { notifyHandlers } from './handlers/notify.ts'
import { runHandlers } from './handlers/runs.ts'
import { scheduleHandlers } from './handlers/schedules.ts'
import { sharedHandlers } from './handlers/shared.ts'
import { sinkHandlers } from './handlers/sinks.ts'
import { statusHandlers } from './handlers/status.ts'
import { tokenHandlers } from './handlers/tokens.ts'
import { windowHandlers } from './handlers/windows.ts'
import type { AllHandlers, ApiApp, Asked, ServerFacts } from './handler.ts'

/** What hooks need to know about a route of Piko. */
export interface RouteAccess {
  /** The lowest role that may use the route; undefined for a route of the user without its own role. */
  readonly role: Role | undefined
  readonly route: AnyRoute | undefined
  /** Whether the route needs no token. Default false. */
  readonly isPublic?: boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    piko?: RouteAccess
  }
}

type AnyHandler = (app: ApiApp, asked: Asked<unknown, unknown, unknown>) => unknown

/** Returns all handlers. The type requires one for each route. */
function handlersOfAll(): AllHandlers {
  return {
    ...{ ...jobHandlers, ...scheduleHandlers, ...configHandlers, ...runHandlers, ...windowHandlers },
    ...{ ...backfillHandlers, ...batchHandlers, ...itemHandlers, ...crawlHandlers, ...nodeHandlers },
    ...{
      ...serviceHandlers,
      ...resourceHandlers,
      ...limitHandlers,
      ...lockHandlers,
      ...sinkHandlers,
      ...notifyHandlers,
    },
    ...{ ...sharedHandlers, ...cacheHandlers, ...liveHandlers, ...tokenHandlers, ...statusHandlers() },
    ...doctorHandlers,
  }
}

/** Adds all operations to a server. */
export function bindRoutes(server: FastifyInstance, app: ApiApp, facts: ServerFacts): void {
  const handlers = handlersOfAll() as unknown as Readonly<Record<string, AnyHandler>>
  for (const route of ANY_ROUTES) {
    const handler = handlers[route.id]
    if (!handler) throw new Error(`no handler for ${route.id}`)
    bind(server, route, (asked) => handler(app, { ...asked, server: facts }))
  }
}

function bind(
  server: FastifyInstance,
  route: AnyRoute,
  answer: (asked: Omit<Asked<unknown, unknown, unknown>, 'server'>) => unknown,
): void {
  server.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { piko: { role: route.role, route } },
    ...(route.timeoutMs !== undefined && { handlerTimeout: route.timeoutMs }),
    handler: async (request, reply) => {
      const checked = await allowedRequest(route, request)
      const { params, headers } = checked
      const { actor } = request
      const { reason: inQuery, ...query } = checked.query
      const { reason: inBody = inQuery, ...body } = checked.body
      const reason = typeof inBody === 'string' ? inBody : undefined
      const asked = { params, query, headers, body, actor, signal: goneSignal(reply) }
      const found = await withActor(actor, reason, () => answer(asked))
      void reply.code(route.status)
      if (!route.answer) return reply.send()
      return reply.type('application/json; charset=utf-8').send(JSON.stringify(found))
    },
  })
}

/** Returns a signal that aborts when the client has closed its connection or the response has ended. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  // This listens to the response, because a listener on the socket would remain for as long as the client keeps the connection.
  raw.once('close', () => gone.abort())
  return gone.signal
}
