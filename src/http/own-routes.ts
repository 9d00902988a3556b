import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { HttpAdditions, HttpRequest } from '../app/http-routes.ts'

/** Adds the user's own routes, middlewares and plugins to the app's server. */
export function ownRoutes(server: FastifyInstance, { routes, middlewares, plugins }: HttpAdditions): void {
  // The user's function takes a fastify instance. `scope` is one, although its type differs.
  for (const plugin of plugins) void server.register(async (scope) => void (await plugin(scope as never)))
  void server.register((scope, _options, done) => {
    for (const { method, path, handler } of routes) {
      scope.route({
        method: typeof method === 'string' ? method : [...method],
        url: path,
        handler: async (request, reply) => {
          const asked = requestOf(request, reply)
          for (const middleware of middlewares) {
            const answer = await middleware(asked)
            if (answer !== undefined) return answer
          }
          const answer = await handler(asked)
          return answer === undefined ? reply.code(NO_CONTENT).send() : answer
        },
      })
    }
    done()
  })
}

const NO_CONTENT = 204

function requestOf({ method, url, params, query, headers, body }: FastifyRequest, { raw }: FastifyReply): HttpRequest {
  const gone = new AbortController()
  raw.once('close', () => gone.abort())
  return {
    ...{ method, url, headers, signal: gone.signal },
    params: params as HttpRequest['params'],
    query: query as HttpRequest['query'],
    body: body ?? undefined,
  }
}
