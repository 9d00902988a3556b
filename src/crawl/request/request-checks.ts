import { validateHeaderName, validateHeaderValue } from 'node:http'
import { describe, isObject, isWhole, propertyOf, safely } from '../../errors-read.ts'
import { toJson } from '../../json/json.ts'
import {
  anything,
  expecting,
  isList,
  listOf,
  oneOf,
  type OptionChecks,
  type ReadOptions,
  readOptions,
  wholeNumber,
} from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import { readInstant } from '../../time/instant.ts'
import type { CrawlMethod, CrawlRequest, ReadyBody } from './request.ts'

const METHODS: readonly CrawlMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
/** The maximum length of a request's URL, in characters. */
export const MAX_URL_LENGTH = 8_192
/** The maximum size of a request's body, in bytes. */
export const MAX_REQUEST_BODY_BYTES = 1_000_000
const MAX_NAME_LENGTH = 128
const MAX_REDIRECTS = 100

const aName = expecting(
  `a string of 1 to ${MAX_NAME_LENGTH} characters`,
  (value) => typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH,
)

const REQUEST_CHECKS: OptionChecks<CrawlRequest> = {
  // The message never contains a URL, because its query may include secrets.
  url: (value) => {
    const isUrl = typeof value === 'string' || value instanceof URL
    if (isUrl && isUrlText(String(value))) return undefined
    const shown = isUrl ? `has ${String(value).length} characters` : `is ${describe(value)}`
    return `${shown}; expected a URL of at most ${MAX_URL_LENGTH} characters`
  },
  step: anything,
  method: oneOf(...METHODS),
  headers: expecting('an object such as { accept: "text/html" }', isTable),
  body: expecting(
    'a string, bytes, { json: value } or { form: { name: value } }',
    (value) =>
      typeof value === 'string' ||
      value instanceof Uint8Array ||
      (isTable(value) && ('json' in value || 'form' in value)),
  ),
  data: anything,
  priority: expecting(
    'a whole number from -32768 to 32767',
    (value) => isWhole(value) && value >= -32_768 && value <= 32_767,
  ),
  due: (value) => {
    const read = readInstant(value)
    return 'expected' in read ? `is ${describe(value)}; expected ${read.expected}` : undefined
  },
  session: expecting('the name of a session, or false', (value) => value === false || aName(value) === undefined),
  downloader: aName,
  dedup: expecting(
    'true, false or a string of at most 1,000 characters',
    (value) => typeof value === 'boolean' || (typeof value === 'string' && value.length <= 1_000),
  ),
  cache: expecting('true, false or { mode: "http" | "force" | "off", ttl }', isCache),
  timeout: aDuration(1),
  redirects: wholeNumber(0, MAX_REDIRECTS),
  accept: listOf('statuses', wholeNumber(100, 599)),
}

/** The checks of the options that a step may set for all its requests. */
export const STEP_REQUEST_CHECKS = {
  method: REQUEST_CHECKS.method,
  headers: REQUEST_CHECKS.headers,
  body: REQUEST_CHECKS.body,
  session: REQUEST_CHECKS.session,
  cache: REQUEST_CHECKS.cache,
  redirects: REQUEST_CHECKS.redirects,
  accept: REQUEST_CHECKS.accept,
} as const

const EXAMPLE = '{ url: "https://shop.test/list", step: "list" }'

export function readRequestOptions(given: unknown): ReadOptions<Partial<CrawlRequest>> {
  return readOptions<CrawlRequest>(given, REQUEST_CHECKS, EXAMPLE, ['url'])
}

/** Returns headers with lower-case names. An undefined header stays in the result, because it removes the step's header with that name. */
export function headersOf(given: CrawlRequest['headers'], problems: string[]): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(given ?? {}) as [string, unknown][]) {
    const problem = headerProblem(name, value)
    if (problem === undefined) headers[name.toLowerCase()] = value as string | undefined
    else problems.push(`headers.${name} ${problem}`)
  }
  return headers
}

/** Joins headers. Later ones replace earlier ones of the same name. Undefined ones are left out. */
export function joinedHeaders(
  ...layers: readonly (Readonly<Record<string, string | undefined>> | undefined)[]
): Record<string, string> {
  const joined: Record<string, string> = {}
  for (const [name, value] of Object.entries(Object.assign({}, ...layers) as Record<string, string | undefined>)) {
    if (value !== undefined) joined[name] = value
  }
  return joined
}

/** Returns the stored form of the body, and the default `content-type` for it. */
export function bodyOf(
  body: CrawlRequest['body'],
  problems: string[],
): { readonly ready: ReadyBody; readonly type: string } | undefined {
  if (body === undefined) return undefined
  const read = safely(() => encoded(body), undefined)
  if (!read) problems.push(`body can't be sent: ${describe(body)} can't be written as JSON`)
  else if (sizeOf(read.ready) > MAX_REQUEST_BODY_BYTES)
    problems.push(`body is ${sizeOf(read.ready)} bytes; expected at most ${MAX_REQUEST_BODY_BYTES}`)
  return read
}

function encoded(body: Exclude<CrawlRequest['body'], undefined>): { ready: ReadyBody; type: string } {
  if (typeof body === 'string') return { ready: { text: body }, type: 'text/plain;charset=UTF-8' }
  if (body instanceof Uint8Array)
    return { ready: { base64: Buffer.from(body).toString('base64') }, type: 'application/octet-stream' }
  if ('json' in body) return { ready: { text: toJson(body.json, 'body') ?? 'null' }, type: 'application/json' }
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(body.form)) form.append(name, String(value))
  return { ready: { text: form.toString() }, type: 'application/x-www-form-urlencoded;charset=UTF-8' }
}

function sizeOf(body: ReadyBody): number {
  return 'text' in body ? Buffer.byteLength(body.text) : Buffer.byteLength(body.base64, 'base64')
}

/** Headers with which an HTTP client would fail, or could send a request that two servers read differently. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  ...['connection', 'content-length', 'expect', 'keep-alive', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
])

/** Returns why a header can't be sent. */
export function headerProblem(name: string, value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') return `is ${describe(value)}; expected a string`
  if (OF_CONNECTION.has(name.toLowerCase())) return 'belongs to the connection, which the downloader manages'
  const isFit = safely(() => {
    validateHeaderName(name)
    if (value !== undefined) validateHeaderValue(name, value)
    return true
  }, false)
  return isFit ? undefined : 'contains characters that HTTP does not allow in headers'
}

/**
 * Checks only the length. An empty string is a link to the page itself. As a seed, it makes only its own item fail, like any other invalid
 * URL.
 */
function isUrlText(text: string): boolean {
  return text.length <= MAX_URL_LENGTH
}

function isTable(value: unknown): value is object {
  return isObject(value) && typeof value !== 'function' && !isList(value)
}

function isCache(value: unknown): boolean {
  if (typeof value === 'boolean') return true
  if (!isTable(value)) return false
  const { mode, ttl } = value as { mode?: unknown; ttl?: unknown }
  const isTtl = ttl === undefined || aDuration(1)(ttl) === undefined
  return (mode === 'http' || mode === 'force' || mode === 'off') && isTtl
}

/** Whether a request's URL is too long. Sites generate such URLs by mistake, so callers leave the request out instead of failing. */
export function isTooLong(request: unknown): boolean {
  const url = propertyOf(request, 'url')
  return (typeof url === 'string' || url instanceof URL) && String(url).length > MAX_URL_LENGTH
}
