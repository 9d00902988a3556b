import type { FastifyInstance } from 'fastify'
import type { Events } from '../events.ts'

/** The methods that are counted by name. All others are counted as `other`, because a client may send any string. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * Emits an event for each answered request of this server. If the fastify instance has a prefix, the routes in the events lack this prefix.
 * A route is named by its pattern, never by a path, so that the number of routes is bounded.
 */
export function countRequests(server: FastifyInstance, events: Pick<Events, 'emit'>): void {
  const { prefix } = server
  server.addHook('onResponse', (request, reply, done) => {
    const { url } = request.routeOptions
    const method = METHODS.has(request.method) ? request.method : 'other'
    const route = url === undefined ? 'none' : url.slice(prefix.length) || '/'
    events.emit('request.answered', { method, route, status: reply.statusCode, durationMs: reply.elapsedTime })
    done()
  })
}
