import type { Readable } from 'node:stream'
import type { output, ZodType } from 'zod'
import type { TlsOptions } from '../../http-client/agents.ts'
import type { HttpMethod } from '../../http-client/sent.ts'
import type { RetrySpec } from '../../run/retry.ts'
import type { Duration } from '../../time/duration.ts'
import type { HttpError, HttpErrorKind, HttpHeaders } from './http-error.ts'

/** Failures that another attempt may overcome. */
export type RetriedKind = Extract<HttpErrorKind, 'network' | 'throttled' | 'server'>

/** The words and defaults of a job's `retry`. A `Retry-After` replaces the back-off; one longer than `max` ends the attempts. */
export interface HttpRetry extends RetrySpec {
  /** The kinds of failure that are tried again. Default: `network`, `throttled` and `server`. */
  readonly on?: readonly RetriedKind[]
  /** Also repeat POST and PATCH, which the server may then execute twice. Default false. */
  readonly nonIdempotent?: boolean
}

/** Headers to send. An undefined one is left out. */
export type HeadersToSend = Readonly<Record<string, string | undefined>>

/** How a client sends its requests. Those with the same name in a request replace them. */
export interface HttpOptions {
  /** For messages and metrics. Default: `http`, with the host of `origin`. */
  readonly name?: string
  /** Relative URLs are resolved against this: `https://api.example.com`, without a path. */
  readonly origin?: string | URL
  /**
   * Sent with every request to `origin`, and never to another origin. Without `origin`, sent with every request, but not to where it is
   * redirected to. A function is called before each attempt, for example to get a token.
   */
  readonly headers?: HeadersToSend | ((signal: AbortSignal) => HeadersToSend | Promise<HeadersToSend>)
  /** The maximum number of simultaneous requests to one origin, each on its own connection. Others wait in order. Default 10. */
  readonly connections?: number
  /** Longest time of one attempt, from sending it until its whole body is read, without waiting for a connection. Default `'30s'`. */
  readonly timeout?: Duration
  /** Longest time without a byte from the server; it may end up to a second late. Default `'10s'`. */
  readonly idleTimeout?: Duration
  /** Longest time to open a connection, TLS included. Default `'10s'`. */
  readonly connectTimeout?: Duration
  /** Default `{ limit: 3 }`. */
  readonly retry?: HttpRetry
  /** Redirects to follow. Default 5; with 0, a redirect is a status that is not accepted. */
  readonly redirects?: number
  /** Largest body in bytes, after decompression; a longer one is cut off while it is read. Default 10,000,000. */
  readonly maxBytes?: number
  /** Statuses that are no failure. Default: 200 to 299. */
  readonly accept?: readonly number[] | ((status: number) => boolean)
  /** Asked before each request that is sent, retries and redirects included: a `limiter` of `piko/async` or of this module. */
  readonly limiter?: { take(count: number, options: { readonly signal: AbortSignal }): Promise<unknown> }
  /** Options of TLS connections. */
  readonly tls?: TlsOptions
}

export type QueryValue = string | number | bigint | boolean | Date | null | undefined

/** What a request has besides its URL and method. */
export interface HttpRequestOptions extends Pick<
  HttpOptions,
  'timeout' | 'idleTimeout' | 'retry' | 'redirects' | 'maxBytes' | 'accept'
> {
  readonly headers?: HeadersToSend
  /** Added to the URL's query. A list gives the name several times; null and undefined are left out; a date is written in ISO 8601. */
  readonly query?: Readonly<Record<string, QueryValue | readonly QueryValue[]>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, QueryValue>>
  /** Sent as it is. A stream can be sent only once: no retry, no redirect that repeats it. */
  readonly body?: string | Uint8Array | Readable | AsyncIterable<Uint8Array | string>
  /** How the body is read. Default: by its `content-type`, JSON as its value, text as a string, anything else as bytes. */
  readonly as?: 'json' | 'text' | 'bytes'
  /** Checks the body, read as JSON. `data` is its output. */
  readonly schema?: ZodType
  /** Ends the request. */
  readonly signal?: AbortSignal
}

export interface HttpRequest extends HttpRequestOptions {
  /** Absolute, or relative to `origin`. */
  readonly url: string | URL
  /** Default GET; POST with a body. */
  readonly method?: HttpMethod
}

/** The type of `data` for a request. */
export type DataOf<R extends HttpRequestOptions> = R extends { readonly schema: infer S extends ZodType }
  ? output<S>
  : R extends { readonly as: 'text' }
    ? string
    : R extends { readonly as: 'bytes' }
      ? Uint8Array
      : unknown

/** An answer whose status is accepted. */
export interface HttpResponse<T = unknown> {
  readonly status: number
  readonly headers: HttpHeaders
  /** The `set-cookie` headers. */
  readonly cookies: readonly string[]
  /** The URL that answered, after redirects. */
  readonly url: string
  readonly data: T
  /** 1 if no retry was needed. */
  readonly attempts: number
}

/** How one request of a batch ended. */
export type HttpResult<T = unknown> =
  | (HttpResponse<T> & { readonly error?: undefined })
  | {
      /** Undefined if no answer came. */
      readonly status: number | undefined
      readonly headers: HttpHeaders | undefined
      readonly data?: undefined
      /** An {@link HttpError}, or a `PikoError` `USAGE` for a request that can't be sent. */
      readonly error: HttpError | Error
    }

export interface BatchOptions {
  /** Requests at the same time. Default 10. */
  readonly concurrency?: number
  /** Ends the batch with its reason. */
  readonly signal?: AbortSignal
}

/** An answer whose body is read piece by piece. */
export interface HttpStream extends AsyncDisposable {
  readonly status: number
  readonly headers: HttpHeaders
  readonly cookies: readonly string[]
  readonly url: string
  /** The decompressed bytes. Holds a connection until it has ended or is closed. */
  readonly body: Readable
  /** Ends the answer, and frees its connection. */
  close(): Promise<void>
}

/** Sends requests. A run's own ends with the run. */
export interface Http {
  /**
   * @throws HttpError
   * @throws PikoError `USAGE` for a request that can't be sent, `STOPPED` after the client was closed or the run has ended
   * @throws the reason of the signal
   */
  request<const R extends HttpRequest>(request: R): Promise<HttpResponse<DataOf<R>>>
  /** @throws as {@link request} */
  get<const R extends HttpRequestOptions = Record<never, never>>(
    url: string | URL,
    options?: R,
  ): Promise<HttpResponse<DataOf<R>>>
  /**
   * Sends `body` as JSON, or a text, bytes or a stream as they are.
   *
   * @throws as {@link request}
   */
  post<const R extends HttpRequestOptions = Record<never, never>>(
    url: string | URL,
    body?: unknown,
    options?: R,
  ): Promise<HttpResponse<DataOf<R>>>
  /**
   * Sends all requests and settles them in order. A request that fails, or can't be sent, fails alone.
   *
   * @throws the reason of the signal, and any error of the source of the requests
   */
  batch<const R extends HttpRequest>(
    requests: Iterable<R> | AsyncIterable<R>,
    options?: BatchOptions,
  ): Promise<HttpResult<DataOf<R>>[]>
  /**
   * Resolves with the headers; the body is read by the caller. Retries end with the headers, and so does `timeout`; `idleTimeout` still
   * guards the body. `maxBytes` limits it only if this request has one.
   *
   * @throws as {@link request}
   */
  stream(request: HttpRequest): Promise<HttpStream>
}
