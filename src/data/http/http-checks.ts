import { validateHeaderName, validateHeaderValue } from 'node:http'
import { aDuration } from '../../time/duration-check.ts'
import { aRetryOf, RETRY_CHECKS } from '../../run/retry-checks.ts'
import { describe } from '../../errors.ts'
import { isObject, isWhole, propertyOf } from '../../errors-read.ts'
import {
  anAbortSignal,
  anything,
  aText,
  expecting,
  flag,
  listOf,
  oneOf,
  type OptionCheck,
  type OptionChecks,
  wholeNumber,
} from '../../options.ts'
import type { HttpMethod } from '../../http-client/sent.ts'
import { readUrl, shownUrl } from '../../http-client/url.ts'
import type { HttpOptions, HttpRequest, HttpRetry, RetriedKind } from './http-types.ts'
import { LONGEST_TIMER_MS } from '../../clock.ts'

const METHODS: readonly HttpMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
export const RETRIED_KINDS: readonly RetriedKind[] = ['network', 'throttled', 'server']
const MAX_REDIRECTS = 50
const MAX_CONNECTIONS = 10_000

// The checks of headers, queries, forms and bodies never show a value, because it may be a secret.

const RETRY: OptionChecks<HttpRetry> = {
  ...RETRY_CHECKS,
  on: listOf('kinds of failure', oneOf(...RETRIED_KINDS)),
  nonIdempotent: flag,
}
const aRetry = aRetryOf(RETRY)

const isStatus = (value: unknown): boolean => isWhole(value) && value >= 100 && value <= 599
const someStatuses = expecting(
  'a list of statuses from 100 to 599, or a function',
  (value) => typeof value === 'function' || (Array.isArray(value) && value.every(isStatus)),
)

const aTime = aDuration(1, LONGEST_TIMER_MS)

const byName: OptionCheck = (value) =>
  isObject(value) && typeof value !== 'function' && !Array.isArray(value)
    ? undefined
    : 'is not an object; expected values by their names'

export const someHeaders: OptionCheck = (value) => {
  const problem = byName(value)
  if (problem !== undefined) return problem
  for (const [name, header] of Object.entries(value as object) as [string, unknown][]) {
    if (header === undefined) continue
    const wrong = typeof header === 'string' ? headerProblem(name, header) : 'whose value is not a string'
    if (wrong !== undefined) return `has ${describe(name)}, ${wrong}`
  }
  return undefined
}

function headerProblem(name: string, value: string): string | undefined {
  if (isRefused(() => validateHeaderName(name))) return 'which is not a valid name of a header'
  return isRefused(() => validateHeaderValue(name, value))
    ? 'whose value has a character that is not allowed'
    : undefined
}

function isRefused(check: () => void): boolean {
  try {
    check()
    return false
  } catch {
    return true
  }
}

const anOrigin: OptionCheck = (value) => {
  const read = readUrl(value)
  if ('problem' in read) return read.problem
  const { pathname, search, hash, origin } = read.url
  if (pathname === '/' && search === '' && hash === '') return undefined
  return `is ${describe(shownUrl(read.url))}; expected no path, such as ${describe(origin)}`
}

/** Whether a value can be sent unchanged. */
export function isBody(value: unknown): value is NonNullable<HttpRequest['body']> {
  return (
    typeof value === 'string' ||
    value instanceof Uint8Array ||
    typeof propertyOf(value, Symbol.asyncIterator) === 'function'
  )
}

/** Options that a client and a request share. */
const SHARED = {
  timeout: aTime,
  idleTimeout: aTime,
  retry: aRetry,
  redirects: wholeNumber(0, MAX_REDIRECTS),
  maxBytes: wholeNumber(1),
  accept: someStatuses,
}

export const CLIENT_CHECKS: OptionChecks<HttpOptions> = {
  ...SHARED,
  name: aText,
  origin: anOrigin,
  headers: (value) => (typeof value === 'function' ? undefined : someHeaders(value)),
  connections: wholeNumber(1, MAX_CONNECTIONS),
  connectTimeout: aTime,
  limiter: expecting('a limiter', (value) => typeof propertyOf(value, 'take') === 'function'),
  tls: byName,
}

export const REQUEST_CHECKS: OptionChecks<HttpRequest> = {
  ...SHARED,
  // The URL is checked later, together with the client's origin.
  url: anything,
  method: oneOf(...METHODS),
  headers: someHeaders,
  query: byName,
  json: anything,
  form: byName,
  body: (value) =>
    isBody(value) ? undefined : 'is neither a string nor bytes nor a stream; send other values as json',
  as: oneOf('json', 'text', 'bytes'),
  schema: expecting('a zod schema', (value) => typeof propertyOf(value, 'safeParse') === 'function'),
  signal: anAbortSignal,
}
