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
  /** The JSON value, parsed by the schema `in`. Undefined for uploads. */
  readonly body: Body
  /** Aborts if the caller cancels, its deadline passes or the connection ends. */
  readonly signal: AbortSignal
  readonly via: 'link' | 'http'
  /** The priority, 0 (first) to 3. The reply has the same. */
  readonly level: number
  /** For values that middleware passes on to handlers. */
  readonly state: Record<string, unknown>
}

/** A request whose body is a stream of bytes. */
export interface UploadRequest<Meta = unknown> extends Omit<RouteRequest<undefined>, 'meta'> {
  readonly meta: Meta
  /** The bytes, with back-pressure up to the sender. */
  readonly stream: Readable
}

/** The result of a handler: a JSON value, bytes, a stream of bytes, or an {@link Answer}. */
export type Handled<T> = T | Answer | Promise<T | Answer>

export type Handler<Body, Out> = (request: RouteRequest<Body>) => Handled<Out>
export type StreamHandler<Body, Item> = (request: RouteRequest<Body>) => AsyncIterable<Item>
export type UploadHandler<Meta, Out> = (request: UploadRequest<Meta>) => Handled<Out>
/** Wraps handlers: it may act before and after `next()`, change its result, or not call it. */
export type Middleware = (request: RouteRequest, next: () => Promise<unknown>) => unknown
export type ErrorHandler = (error: unknown, request: RouteRequest) => unknown

export interface RoutesOptions {
  /** Added before the paths of all routes: `/user`. */
  readonly prefix?: string
  /** The first one is the outermost. */
  readonly use?: readonly Middleware[]
  /** Called before the handler. A result other than undefined is the answer. */
  readonly before?: readonly ((request: RouteRequest) => unknown)[]
  /** Called with the result of the handler. A result other than undefined replaces it. */
  readonly after?: readonly ((request: RouteRequest, result: unknown) => unknown)[]
  /** Answers errors of these routes and of nested ones that have no handler of their own. */
  readonly onError?: ErrorHandler
  /** Answers requests below the prefix for which there is no route. */
  readonly fallback?: (request: RouteRequest) => unknown
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface RouteOptions<In extends z.ZodType = z.ZodType, Out extends z.ZodType = z.ZodType> {
  /** Checks and converts the body. */
  readonly in?: In
  /** Checks and converts the result. */
  readonly out?: Out
  /** The method over HTTP. Default `POST`. With `GET`, the query is used as the body. */
  readonly method?: HttpMethod
}

export interface UploadOptions<Meta extends z.ZodType = z.ZodType, Out extends z.ZodType = z.ZodType> {
  /** Checks and converts the value that is sent in addition to the bytes. */
  readonly meta?: Meta
  readonly out?: Out
  readonly method?: HttpMethod
  /**
   * Receives and verifies the complete upload before the handler is called. `'memory'`: up to the limit of the link; `'file'`: into a
   * temporary file, which is removed afterwards; a number: up to this many bytes in memory, more into a file. Default: the handler reads
   * while the bytes arrive.
   */
  readonly spool?: 'memory' | 'file' | number
}

export type RouteKind = 'call' | 'stream' | 'upload'

/** A route of a blueprint. */
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
