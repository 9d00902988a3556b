import type { FastifyInstance } from 'fastify'
import { problemOf, PROBLEM_TYPE } from '../../api/problem.ts'
import { docsPage } from '../../api/docs-page.ts'
import { openApiOf } from '../../api/openapi.ts'
import { DOCUMENTED } from '../../api/routes.ts'
import { toError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { type AccessOptions, addAccess } from '../access/plugin.ts'
import { bindRoutes } from './bind.ts'
import { liveRoutes } from './live/routes.ts'
import type { ApiApp, ServerFacts } from './handler.ts'
import { packageVersion } from '../../package-version.ts'
import { sendProblem } from './problems.ts'

/** The prefix of the API. */
export const API_BASE = '/api/v1'

export interface ApiOptions {
  readonly app: ApiApp
  readonly facts: ServerFacts
  readonly logger: Pick<Logger, 'error'> | undefined
  readonly access: AccessOptions
}

/** The API as a fastify plugin; register it with the prefix `/api/v1`. */
export async function apiPlugin(server: FastifyInstance, { app, facts, logger, access }: ApiOptions): Promise<void> {
  server.setErrorHandler((error, request, reply) => sendProblem(toError(error), request, reply, logger))
  server.setNotFoundHandler((request, reply) => {
    const detail = `there is no ${request.method} ${request.url.split('?')[0] ?? ''}; GET ${server.prefix}/openapi.json lists all operations`
    return reply
      .code(404)
      .type(PROBLEM_TYPE)
      .send(JSON.stringify(problemOf(404, 'ROUTE_UNKNOWN', detail)))
  })
  await addAccess(server, access)
  bindRoutes(server, app, facts)
  server.get('/docs', { config: { piko: { role: 'viewer', route: undefined } } }, (_request, reply) =>
    reply
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .type('text/html; charset=utf-8')
      .send(docsPage(DOCUMENTED, server.prefix)),
  )
  liveRoutes(server, app)
  let document: string | undefined
  server.get('/openapi.json', { config: { piko: { role: 'viewer', route: undefined } } }, (_request, reply) => {
    document ??= JSON.stringify(openApiOf(DOCUMENTED, { base: server.prefix, version: packageVersion() }))
    return reply.type('application/json; charset=utf-8').send(document)
  })
}
