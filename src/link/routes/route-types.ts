import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { Answer } from './answer.ts'

/** The request that handlers and middleware receive, both over a link and over HTTP. */
export interface RouteRequest<Body = unknown> {
  /** The path of the request: `/user/7`. */
  readonly path: string
  /** The path of the route: `/user/:id`. */
  readonly route: string
  readonly params: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** The value that the caller sent in addition to the body. Over HTTP: the query. */
  readonly meta: unknown
  /** The body: a JSON value, bytes, or a stream of values, parsed by the schema `in`. Undefined in uploads. */
  readonly body: Body
  /** Aborts if the caller cancels, its deadline passes or the connection ends. */
  readonly signal: AbortSignal
  readonly via: 'link' | 'http'
  /** The priority, from 0 (first) to 3. The reply has the same priority. */
  readonly level: number
  /** A place for values that middleware passes to handlers. */
  readonly state: Record<string, unknown>
}

/** A request whose body is a stream of bytes. */
export interface UploadRequest<Meta = unknown> extends Omit<RouteRequest<undefined>, 'meta'> {
  readonly meta: Meta
  /** The bytes. If they are read slowly, the sender must slow down. */
  readonly stream: Readable
}

/** The result of a handler: a JSON value, bytes, a stream of bytes, or an {@link Answer}. */
export type Handled<T> = T | Answer | Promise<T | Answer>

export type Handler<Body, Out> = (request: RouteRequest<Body>) => Handled<Out>
export type StreamHandler<Body, Item> = (request: RouteRequest<Body>) => AsyncIterable<Item>
export type UploadHandler<Meta, Out> = (request: UploadRequest<Meta>) => Handled<Out>
/** Wraps handlers. It may act before and after `next()`, change its result, or not call it. */
export type Middleware = (request: RouteRequest, next: () => Promise<unknown>) => unknown
export type ErrorHandler = (error: unknown, request: RouteRequest) => unknown

export interface RoutesOptions {
  /** The prefix of all paths: `/user`. */
  readonly prefix?: string
  /** The middleware. The first one is the outermost. */
  readonly use?: readonly Middleware[]
  /** Functions to call before the handler. If one returns a value other than undefined, this is the answer. */
  readonly before?: readonly ((request: RouteRequest) => unknown)[]
  /** Functions to call with the result of the handler. If one returns a value other than undefined, it replaces the result. */
  readonly after?: readonly ((request: RouteRequest, result: unknown) => unknown)[]
  /** Answers errors of these routes, and of inner routes without their own error handler. */
  readonly onError?: ErrorHandler
  /** Answers requests below the prefix that match no route. */
  readonly fallback?: (request: RouteRequest) => unknown
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface RouteOptions<In extends z.ZodType = z.ZodType, Out extends z.ZodType = z.ZodType> {
  /** The schema that checks and converts the body. */
  readonly in?: In
  /** The schema that checks and converts the result. */
  readonly out?: Out
  /** The method over HTTP. Default `POST`. With `GET`, the query is used as the body. */
  readonly method?: HttpMethod
}

export interface UploadOptions<Meta extends z.ZodType = z.ZodType, Out extends z.ZodType = z.ZodType> {
  /** The schema that checks and converts the value that is sent in addition to the bytes. */
  readonly meta?: Meta
  readonly out?: Out
  readonly method?: HttpMethod
  /**
   * Where to collect and verify the whole upload before the handler is called. `'memory'`: in memory, up to the limit of the link.
   * `'file'`: in a temporary file, which is removed afterwards. A number: up to this many bytes in memory, and more in a file. Default: the
   * handler reads while the bytes arrive.
   */
  readonly spool?: 'memory' | 'file' | number
}

export type RouteKind = 'call' | 'stream' | 'upload'

/** A route of a group, with its checked options and its handler. */
export interface RouteEntry {
  readonly kind: RouteKind
  readonly path: string
  readonly method: HttpMethod
  readonly in: z.ZodType | undefined
  readonly out: z.ZodType | undefined
  readonly meta: z.ZodType | undefined
  readonly spool: 'memory' | 'file' | number | undefined
  readonly handler: (request: never) => unknown
}
