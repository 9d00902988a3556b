import type { FastifyInstance } from 'fastify'
import { toError } from '../errors.ts'
import { API_BASE, apiPlugin } from './api/plugin.ts'
import { sendProblem } from './api/problems.ts'
import { Connections } from './connections.ts'
import { countRequests } from './count-requests.ts'
import { graphRoutes } from './graph.ts'
import { healthRoutes } from './health.ts'
import { metricsRoutes } from './metrics.ts'
import type { ServedApp } from './served-app.ts'

export interface PikoRoutesOptions {
  readonly app: ServedApp
}

/**
 * Piko's routes as a plugin for a fastify instance of your own: the API, the probes, the metrics and the graph. Give fastify's option
 * `prefix` to put them below a path. The app does not start or stop your server, and your server does not start or stop the app.
 *
 * @example
 * await server.register(pikoRoutes, { app, prefix: '/piko' })
 */
export async function pikoRoutes(server: FastifyInstance, { app }: PikoRoutesOptions): Promise<void> {
  const facts = new Connections(server.server)
  server.setErrorHandler((error, request, reply) => sendProblem(toError(error), request, reply, app.log))
  countRequests(server, app.events)
  healthRoutes(server, { isStopping: () => app.isStopping, health: () => app.health() })
  metricsRoutes(server, { metrics: () => app.metrics() })
  graphRoutes(server, { services: () => app.services.tree() })
  const { hosts, rateLimit, requireToken, trustForwarded } = app.settings.http
  const access = {
    ...{ access: app.access, events: app.events, hosts, perMinute: rateLimit },
    ...{ hasTls: false, allowsLocal: !requireToken, trustsForwarded: trustForwarded },
  }
  await server.register(apiPlugin, { prefix: API_BASE, app, access, facts, logger: app.log })
}
