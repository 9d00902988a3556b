import { z } from 'zod'
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi'
import { PROBLEM_TYPE, problem } from './problem.ts'
import type { AnyRoute } from './routes.ts'
import type { Fields } from './route.ts'

/** An OpenAPI 3.1 document as plain data. */
export type OpenApiDocument = ReturnType<typeof createDocument>

const JSON_TYPE = 'application/json'
const STREAM_TYPE = 'text/event-stream'

/** The descriptions of the groups of routes. Each group is a tag of the document. */
const NOUNS: Readonly<Record<string, string>> = {
  audit: 'Who changed what, when and why.',
  backfills: 'Runs for windows of the past.',
  batches: 'Many runs of a job as one object.',
  cache: 'Caches that processes share.',
  configs: 'Versions of the configs of jobs.',
  crawls: 'Crawls and their hosts.',
  doctor: 'Checks of an installation, with remedies.',
  items: 'Items of runs, and the lanes in which they begin.',
  jobs: 'What runs, when, and why not.',
  leader: 'The node that plans.',
  limits: 'Rates and numbers of parallel runs.',
  live: 'Events of the fleet.',
  locks: 'Named locks.',
  metrics: 'Figures of the fleet.',
  nodes: 'The processes of the fleet.',
  notify: 'Ways to notify people.',
  resources: 'Pools that jobs share.',
  runs: 'Executions of jobs.',
  schedules: 'When jobs run.',
  services: 'The services of the process that answers, and of all nodes.',
  session: 'The session of a browser.',
  shared: 'Values that processes share.',
  sinks: 'Writers of rows, and the rows that they could not write.',
  status: 'The process that answers.',
  tokens: 'Who may use the API.',
  windows: 'Ranges of time that jobs process, and their states.',
}

/**
 * Returns the OpenAPI 3.1 document of some routes.
 *
 * @param options.base the path of the API on its server, such as `/api/v1`
 */
export function openApiOf(routes: readonly AnyRoute[], options: { base: string; version: string }): OpenApiDocument {
  const paths: ZodOpenApiPathsObject = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) }
  }
  const nouns = [...new Set(routes.map(({ id }) => nounOf(id)))]
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Piko',
      version: options.version,
      description: 'Every operation of a Piko application. Times are ISO 8601 in UTC.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: options.base }],
    security: [{ token: [] }, { session: [] }, {}],
    tags: nouns.map((name) => ({ name, description: NOUNS[name] ?? name })),
    paths,
    components: {
      schemas: { Problem: problem },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token of `piko tokens create`.' },
        session: { type: 'apiKey', in: 'cookie', name: 'piko_session', description: 'The cookie of a browser.' },
      },
    },
  })
}

export function nounOf(id: string): string {
  return id.slice(0, id.indexOf('.'))
}

function operationOf(route: AnyRoute): ZodOpenApiOperationObject {
  const { id, summary, description, params, query, headers, body, role, isPublic, example } = route
  const rights = isPublic ? 'No token is needed.' : `Role: ${role}.`
  return {
    operationId: id,
    summary,
    description: description === undefined ? rights : `${description}\n\n${rights}`,
    tags: [nounOf(id)],
    requestParams: {
      path: withExamples(params, example.params),
      query: withExamples(query, example.query),
      ...(headers && { header: withExamples(headers, example.headers) }),
    },
    ...(body && {
      requestBody: {
        required: !body.safeParse({}).success,
        content: { [JSON_TYPE]: { schema: body, example: example.body ?? {} } },
      },
    }),
    responses: responsesOf(route),
    ...(isPublic ? { security: [{}] } : { 'x-role': role }),
    ...(route.audit !== undefined && { 'x-audit': route.audit }),
  }
}

/** Returns the parameters, with the values that the example has for them. */
function withExamples(fields: Fields, values: Readonly<Record<string, unknown>> = {}): Fields {
  const shape: Record<string, z.ZodType> = {}
  for (const name of Object.keys(fields.shape)) {
    const field: unknown = fields.shape[name]
    if (!(field instanceof z.ZodType)) continue
    shape[name] = name in values ? field.meta({ ...field.meta(), param: { example: values[name] } }) : field
  }
  return z.strictObject(shape)
}

function responsesOf({ status, answer, params, body, isStream, example }: AnyRoute): ZodOpenApiResponsesObject {
  const refused = (description: string) => ({ description, content: { [PROBLEM_TYPE]: { schema: problem } } })
  return {
    [`${status}`]: {
      description: answer ? 'The answer.' : 'Done.',
      ...(answer && { content: { [isStream ? STREAM_TYPE : JSON_TYPE]: { schema: answer, example: example.answer } } }),
    },
    '400': refused('A parameter or the body is wrong.'),
    '401': refused('The token is missing or not valid.'),
    '403': refused('The role may not do this.'),
    ...(Object.keys(params.shape).length > 0 && { '404': refused('It does not exist.') }),
    ...(body && { '409': refused('The current state does not allow it.') }),
    '429': refused('Too many requests.'),
    default: refused('Another problem.'),
  }
}
