import { Readable } from 'node:stream'
import { wrongCall } from '../../call-options.ts'
import { propertyOf } from '../../errors-read.ts'
import type { HttpMethod, Sent } from '../../http-client/sent.ts'
import { basicAuth, readUrl, shownUrl } from '../../http-client/url.ts'
import { readOptions } from '../../options.ts'
import { policyOf, type RetryPolicy } from '../../run/retry.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { REQUEST_CHECKS, RETRIED_KINDS } from './http-checks.ts'
import type {
  HeadersToSend,
  HttpOptions,
  HttpRequest,
  HttpRequestOptions,
  HttpRetry,
  QueryValue,
  RetriedKind,
} from './http-types.ts'

const DEFAULT_RETRY: HttpRetry = { limit: 3 }
const DEFAULT_TIMEOUT: Duration = '30s'
const DEFAULT_IDLE: Duration = '10s'
const DEFAULT_REDIRECTS = 5
const DEFAULT_MAX_BYTES = 10_000_000

/** Methods that have the same effect if the server executes them twice (RFC 9110, section 9.2.2). */
const IDEMPOTENT: ReadonlySet<HttpMethod> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])

/** A checked request with all defaults. */
export interface Plan {
  readonly sent: Sent
  /** The method and the URL without its query, for messages. */
  readonly shown: string
  readonly timeoutMs: number
  readonly idleMs: number
  readonly redirects: number
  readonly maxBytes: number
  /** Whether the request itself has `maxBytes`. */
  readonly hasOwnLimit: boolean
  readonly accept: HttpOptions['accept']
  readonly retry: RetryPolicy
  readonly retried: readonly RetriedKind[]
  /** Whether the request may be sent more than once. */
  readonly mayRepeat: boolean
  readonly as: HttpRequest['as']
  readonly schema: HttpRequest['schema']
  readonly signal: AbortSignal | undefined
}

/** One try of a request. */
export interface Try {
  readonly plan: Plan
  /** The number of the try; 1 for the first. */
  readonly attempt: number
}

/**
 * Checks a request and adds the defaults.
 *
 * @throws PikoError `USAGE` with all problems, but never with the value of a header, a query or a body
 */
export function planOf(given: unknown, origin: URL | undefined, client: HttpOptions): Plan {
  const { options, problems } = readOptions<HttpRequest>(given, REQUEST_CHECKS, "{ url: '/orders' }")
  const reading = readUrl(options.url, origin)
  const content = readContent(options)
  const wrong = [...problems, ...('problem' in reading ? [`url ${reading.problem}`] : []), ...content.problems]
  if (wrong.length > 0 || !('url' in reading)) throw wrongCall('http', wrong)
  const { url, authorization } = cleaned(reading.url)
  for (const [name, text] of content.query) url.searchParams.append(name, text)
  const retry = options.retry ?? client.retry ?? DEFAULT_RETRY
  const { method, body } = content
  return {
    sent: {
      method,
      url,
      headers: { ...content.headers, ...authorization, ...lowerCased(options.headers ?? {}) },
      body,
    },
    shown: `${method} ${shownUrl(url)}`,
    timeoutMs: durationMs(options.timeout ?? client.timeout ?? DEFAULT_TIMEOUT),
    idleMs: durationMs(options.idleTimeout ?? client.idleTimeout ?? DEFAULT_IDLE),
    redirects: options.redirects ?? client.redirects ?? DEFAULT_REDIRECTS,
    maxBytes: options.maxBytes ?? client.maxBytes ?? DEFAULT_MAX_BYTES,
    hasOwnLimit: options.maxBytes !== undefined,
    accept: options.accept ?? client.accept,
    retry: policyOf(retry),
    retried: retry.on ?? RETRIED_KINDS,
    mayRepeat: !(body instanceof Readable) && (IDEMPOTENT.has(method) || retry.nonIdempotent === true),
    as: options.as,
    schema: options.schema,
    signal: options.signal,
  }
}

/** Moves the user and the password of a URL to a header, and removes its fragment. */
function cleaned(given: URL): { readonly url: URL; readonly authorization: { readonly authorization?: string } } {
  const url = new URL(given)
  const authorization = basicAuth(url)
  url.username = ''
  url.password = ''
  url.hash = ''
  return { url, authorization: authorization === undefined ? {} : { authorization } }
}

export function lowerCased(headers: HeadersToSend): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name.toLowerCase(), value]])),
  )
}

interface Content {
  readonly method: HttpMethod
  readonly query: readonly (readonly [name: string, text: string])[]
  readonly headers: Readonly<Record<string, string>>
  readonly body: Sent['body']
  readonly problems: readonly string[]
}

const BODIES = ['json', 'form', 'body'] as const

/** Reads the method, query and body of a request. If converting a user's value to text throws, that is one of the problems. */
function readContent(options: Partial<HttpRequest>): Content {
  const problems: string[] = []
  const written = <T>(name: string, write: () => T, otherwise: T): T => {
    try {
      return write()
    } catch (thrown) {
      problems.push(`${name} can't be written: it threw ${String(propertyOf(thrown, 'name'))}`)
      return otherwise
    }
  }
  const given = BODIES.filter((name) => options[name] !== undefined)
  const [kind] = given
  if (given.length > 1) problems.push(`${given.join(' and ')} are given; expected only one of them`)
  const method = options.method ?? (kind === undefined ? 'GET' : 'POST')
  if (kind !== undefined && (method === 'GET' || method === 'HEAD'))
    problems.push(`method is "${method}", with which no ${kind} is sent`)
  const query = written('query', () => pairsOf(options.query ?? {}), [])
  if (kind === undefined || given.length > 1) return { method, query, headers: {}, body: undefined, problems }
  const body = written(kind, () => bodyOf(kind, options), '')
  return { method, query, headers: CONTENT_TYPES[kind], body, problems }
}

const CONTENT_TYPES = {
  json: { 'content-type': 'application/json' },
  form: { 'content-type': 'application/x-www-form-urlencoded' },
  body: {},
}

function bodyOf(kind: (typeof BODIES)[number], { json, form = {}, body = '' }: HttpRequestOptions): Sent['body'] {
  if (kind === 'json') {
    const text = JSON.stringify(json) as string | undefined
    if (text === undefined) throw new TypeError('JSON has no such value')
    return text
  }
  if (kind === 'form') return new URLSearchParams(pairsOf(form)).toString()
  if (typeof body === 'string' || body instanceof Uint8Array || body instanceof Readable) return body
  return Readable.from(body, { objectMode: false })
}

function pairsOf(values: Readonly<Record<string, QueryValue | readonly QueryValue[]>>): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly QueryValue[]) : [value as QueryValue]).flatMap(
      (one): [string, string][] => {
        const text = queryText(one)
        return text === undefined ? [] : [[name, text]]
      },
    ),
  )
}

/** Returns the text of a value in a query or a form; undefined if the value is left out. */
function queryText(value: QueryValue): string | undefined {
  if (value === null || value === undefined) return undefined
  return value instanceof Date ? value.toISOString() : String(value)
}
