import { z } from 'zod'
import type { JobOf, Role } from './actor.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** The schema of named values: parameters, a query, headers or a body. */
export type Fields = z.ZodObject

/** An example of a request, with its answer. */
export interface RouteExample {
  readonly params?: Readonly<Record<string, string | number>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** The body of the answer; undefined for a route without one. */
  readonly answer?: unknown
}

/** The parts of a request from which a route finds its jobs. */
export interface RoutedRequest {
  readonly params: Readonly<Record<string, unknown>>
  readonly query: Readonly<Record<string, unknown>>
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * One operation of the HTTP API. The server, the OpenAPI document, the client and the tests are all based on it.
 *
 * @typeParam Id `noun.verb`, such as `runs.show`
 */
export interface Route<
  Id extends string = string,
  Params extends Fields = Fields,
  Query extends Fields = Fields,
  Body extends Fields = Fields,
  Answer extends z.ZodType = z.ZodType,
> {
  readonly id: Id
  readonly method: Method
  /** The path below `/api/v1`, with parameters in braces: `/runs/{runId}/cancel`. */
  readonly path: string
  /** The lowest role that may use the route. */
  readonly role: Role
  /** Finds the lowest role that may make a request; undefined if `role` may make all of them. */
  readonly roleFor: ((request: RoutedRequest) => Role) | undefined
  /** The verb that the audit records; undefined if it records nothing. */
  readonly audit: string | undefined
  /** Finds what a request is about. If it returns undefined, a token that is limited to some jobs may not make the request. */
  readonly job: ((request: RoutedRequest) => JobOf | undefined) | undefined
  readonly summary: string
  readonly description: string | undefined
  readonly params: Params
  readonly query: Query
  readonly headers: Fields | undefined
  /** The schema of the request's body; undefined: the request has no body. */
  readonly body: Body | undefined
  /** The schema of the answer's body; undefined: the answer has no body. */
  readonly answer: Answer | undefined
  readonly status: 200 | 201 | 202 | 204
  /** The time limit of the response. Default: the server's limit. */
  readonly timeoutMs: number | undefined
  /** Whether the answer is a stream of server-sent events. */
  readonly isStream: boolean
  /** Whether the route needs no token, and therefore no role. */
  readonly isPublic: boolean
  readonly example: RouteExample
}

interface RouteInput<
  Id extends string,
  Params extends Fields,
  Query extends Fields,
  Body extends Fields,
  Answer extends z.ZodType,
> {
  readonly id: Id
  readonly method: Method
  readonly path: string
  readonly role: Role
  readonly summary: string
  readonly description?: string
  /** Whether the audit does not record requests, and they accept no reason, as for a preview by POST. Default: true for a GET. */
  readonly isRead?: boolean
  readonly job?: (request: RoutedRequest) => JobOf | undefined
  /** Finds the lowest role that may make a request. Default: `role`. */
  readonly roleFor?: (request: RoutedRequest) => Role
  readonly params?: Params
  readonly query?: Query
  readonly headers?: Fields
  readonly body?: Body
  readonly answer?: Answer
  /** The HTTP status of a success. Default 200, or 204 without an answer. */
  readonly status?: 200 | 201 | 202
  readonly timeoutMs?: number
  /** Whether the answer is a stream of server-sent events. Default false. */
  readonly isStream?: boolean
  /** Whether the route needs no token. Default false. */
  readonly isPublic?: boolean
  readonly example?: RouteExample
}

const NONE = z.strictObject({})
type None = typeof NONE

const REASON = z.string().max(500).optional().meta({ description: 'The reason for this change. The audit stores it.' })

/**
 * Defines a route. A route that the audit records also accepts `reason`, in its body or in the query of a DELETE. By default, the job of a
 * request is the parameter `{jobId}`, or `jobId` in the body or query.
 */
export function route<
  const Id extends string,
  Params extends Fields = None,
  Query extends Fields = None,
  Body extends Fields = None,
  Answer extends z.ZodType = z.ZodType,
>(input: RouteInput<Id, Params, Query, Body, Answer>): Route<Id, Params, Query, Body, Answer> {
  const { id, method, isRead = method === 'GET', answer } = input
  const hasBody = method === 'POST' || method === 'PUT'
  const query: Fields = input.query ?? NONE
  const body: Fields | undefined = hasBody ? (input.body ?? NONE) : undefined
  return {
    ...{ id, method, path: input.path, role: input.role, summary: input.summary },
    audit: isRead ? undefined : id,
    job: input.job ?? jobOf,
    roleFor: input.roleFor,
    description: input.description,
    params: (input.params ?? NONE) as Params,
    query: (isRead || hasBody ? query : query.extend({ reason: REASON })) as Query,
    headers: input.headers,
    body: (isRead ? body : body?.extend({ reason: REASON })) as Body | undefined,
    answer,
    status: answer ? (input.status ?? 200) : 204,
    timeoutMs: input.timeoutMs,
    isStream: input.isStream ?? false,
    isPublic: input.isPublic ?? false,
    example: input.example ?? {},
  }
}

function jobOf({ params, query, body }: RoutedRequest): JobOf | undefined {
  const jobId = params['jobId'] ?? body['jobId'] ?? query['jobId']
  return typeof jobId === 'string' ? { job: jobId } : undefined
}

/** Finds the run that a request is about. */
export function ofRun({ params }: RoutedRequest): JobOf {
  return { run: Number(params['runId']) }
}

export type AnswerOf<R> = R extends Route<string, Fields, Fields, Fields, infer A> ? z.input<A> : never
