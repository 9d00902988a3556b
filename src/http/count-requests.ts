import type { FastifyInstance } from 'fastify'
import type { Events } from '../events.ts'

/** Methods that a label may have. A client may send any other. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * Emits an event for each answered request of this server, or of a part of a server, whose prefix the routes then lack. A route is named by
 * its pattern, never by a path, so that the number of routes is bounded.
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
