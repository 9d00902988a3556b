import type { Readable } from 'node:stream'
import type { output, ZodType } from 'zod'
import type { TlsOptions } from '../../http-client/agents.ts'
import type { HttpMethod } from '../../http-client/sent.ts'
import type { RetrySpec } from '../../run/retry.ts'
import type { Duration } from '../../time/duration.ts'
import type { HttpError, HttpErrorKind, HttpHeaders } from './http-error.ts'

/** The kinds of failure after which another attempt may succeed. */
export type RetriedKind = Extract<HttpErrorKind, 'network' | 'throttled' | 'server'>

/**
 * The options and defaults are those of a job's `retry`. A `Retry-After` replaces the back-off. After a `Retry-After` longer than `max`,
 * there is no further attempt.
 */
export interface HttpRetry extends RetrySpec {
  /** The kinds of failure that are retried. Default: `network`, `throttled` and `server`. */
  readonly on?: readonly RetriedKind[]
  /** Whether to repeat POST and PATCH too. The server may then execute them twice. Default false. */
  readonly nonIdempotent?: boolean
}

/** Headers to send. A header with the value undefined is left out. */
export type HeadersToSend = Readonly<Record<string, string | undefined>>

/** How a client sends its requests. An option of a request takes precedence over the client's option of the same name. */
export interface HttpOptions {
  /** The name for messages and metrics. Default: `http`, with the host of `origin`. */
  readonly name?: string
  /** Relative URLs are resolved against this: `https://api.example.com`, without a path. */
  readonly origin?: string | URL
  /**
   * Headers to send with every request to `origin`, or with every request if there is no `origin`. After a redirect to another origin, only
   * headers without secrets are sent, such as `accept`. A function is called before each attempt, for example to get a token.
   */
  readonly headers?: HeadersToSend | ((signal: AbortSignal) => HeadersToSend | Promise<HeadersToSend>)
  /** The maximum number of simultaneous requests to one origin, each on its own connection. Others wait in order. Default 10. */
  readonly connections?: number
  /**
   * The time limit of one attempt, from sending it until the whole body is read. Waiting for a connection does not count. Default `'30s'`.
   */
  readonly timeout?: Duration
  /** The maximum time without a byte from the server. The request may fail up to a second later. Default `'10s'`. */
  readonly idleTimeout?: Duration
  /** The time limit for opening a connection, including TLS. Default `'10s'`. */
  readonly connectTimeout?: Duration
  /** How failed attempts are repeated. Default `{ limit: 3 }`. */
  readonly retry?: HttpRetry
  /** The maximum number of redirects to follow, at most 50. Default 5. With 0, a redirect is a status that is not accepted. */
  readonly redirects?: number
  /** The maximum number of bytes of the body after decompression. Reading a larger body fails with `HTTP_TOO_LARGE`. Default 10,000,000. */
  readonly maxBytes?: number
  /** The statuses that are accepted; any other status is a failure. Default: 200 to 299. */
  readonly accept?: readonly number[] | ((status: number) => boolean)
  /** A `limiter` from `piko/async` or from this module. Each request, including retries and redirects, first waits for it. */
  readonly limiter?: { take(count: number, options: { readonly signal: AbortSignal }): Promise<unknown> }
  /** TLS options of the connections. */
  readonly tls?: TlsOptions
}

export type QueryValue = string | number | bigint | boolean | Date | null | undefined

/** The options of a request, except its URL and method. */
export interface HttpRequestOptions extends Pick<
  HttpOptions,
  'timeout' | 'idleTimeout' | 'retry' | 'redirects' | 'maxBytes' | 'accept'
> {
  readonly headers?: HeadersToSend
  /**
   * Parameters to add to the URL's query. A list adds its parameter several times; null and undefined are left out; a date is written in
   * ISO 8601.
   */
  readonly query?: Readonly<Record<string, QueryValue | readonly QueryValue[]>>
  /** A value to send as JSON. */
  readonly json?: unknown
  /** Fields to send as a form. */
  readonly form?: Readonly<Record<string, QueryValue>>
  /** A body to send unchanged. A stream can be sent only once, so it is not retried, and a redirect that repeats the body fails. */
  readonly body?: string | Uint8Array | Readable | AsyncIterable<Uint8Array | string>
  /** The form of `data`. Default: depends on the `content-type`: JSON becomes its value, text a string, anything else bytes. */
  readonly as?: 'json' | 'text' | 'bytes'
  /** Checks the body, read as JSON. `data` is its output. */
  readonly schema?: ZodType
  /** Aborting this signal ends the request. */
  readonly signal?: AbortSignal
}

export interface HttpRequest extends HttpRequestOptions {
  /** The URL: absolute, or relative to `origin`. */
  readonly url: string | URL
  /** The method. Default: `POST` if there is a body, otherwise `GET`. */
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

/** A response with an accepted status. */
export interface HttpResponse<T = unknown> {
  readonly status: number
  readonly headers: HttpHeaders
  /** The `set-cookie` headers. */
  readonly cookies: readonly string[]
  /** The URL of the response, after redirects. */
  readonly url: string
  readonly data: T
  /** The number of attempts; 1 if no retry was needed. */
  readonly attempts: number
}

/** The result of one request of a batch: a response or an error. */
export type HttpResult<T = unknown> =
  | (HttpResponse<T> & { readonly error?: undefined })
  | {
      /** The status of the response; undefined if there was no response. */
      readonly status: number | undefined
      readonly headers: HttpHeaders | undefined
      readonly data?: undefined
      /** An {@link HttpError}, or a `PikoError` `USAGE` for a request that can't be sent. */
      readonly error: HttpError | Error
    }

export interface BatchOptions {
  /** The maximum number of simultaneous requests. Default 10. */
  readonly concurrency?: number
  /** Aborting this signal ends the batch, which rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** A response whose body is read as a stream. */
export interface HttpStream extends AsyncDisposable {
  readonly status: number
  readonly headers: HttpHeaders
  readonly cookies: readonly string[]
  readonly url: string
  /** The decompressed bytes. Holds a connection until it has ended or is closed. */
  readonly body: Readable
  /** Ends the response, and frees its connection. */
  close(): Promise<void>
}

/** Sends requests. The requests of a run end with the run. */
export interface Http {
  /**
   * Sends a request and reads the whole body.
   *
   * @throws HttpError
   * @throws PikoError `USAGE` for a request that can't be sent, `STOPPED` after the client was closed or the run has ended
   * @throws the reason of the signal
   */
  request<const R extends HttpRequest>(request: R): Promise<HttpResponse<DataOf<R>>>
  /** Sends a GET request. @throws as {@link request} */
  get<const R extends HttpRequestOptions = Record<never, never>>(
    url: string | URL,
    options?: R,
  ): Promise<HttpResponse<DataOf<R>>>
  /**
   * Sends `body` with POST: a string, bytes or a stream unchanged, any other value as JSON.
   *
   * @throws as {@link request}
   */
  post<const R extends HttpRequestOptions = Record<never, never>>(
    url: string | URL,
    body?: unknown,
    options?: R,
  ): Promise<HttpResponse<DataOf<R>>>
  /**
   * Sends all requests. Resolves with their results in the order of the requests. A request that fails, or can't be sent, does not affect
   * the others.
   *
   * @throws the reason of the signal, and any error of the source of the requests
   */
  batch<const R extends HttpRequest>(
    requests: Iterable<R> | AsyncIterable<R>,
    options?: BatchOptions,
  ): Promise<HttpResult<DataOf<R>>[]>
  /**
   * Resolves when the headers have arrived; the caller reads the body. From then on there are no retries and no `timeout`, but
   * `idleTimeout` still applies to the body. `maxBytes` limits the body only if this request itself has it.
   *
   * @throws as {@link request}
   */
  stream(request: HttpRequest): Promise<HttpStream>
}
