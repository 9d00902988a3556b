import { describe, PikoError } from '../../errors.ts'
import { propertyOf } from '../../errors-read.ts'
import { basicAuth } from '../../http-client/url.ts'
import { jsonCopy, pathText } from '../../json/json-copy.ts'
import { problemsText } from '../../options.ts'
import { redactText } from '../../run/redact.ts'
import { durationMs } from '../../time/duration.ts'
import { instantOf } from '../../time/instant.ts'
import { canonicalOf, parsedUrl } from './canonical-url.ts'
import { itemKey } from './item-key.ts'
import { bodyOf, headersOf, joinedHeaders, readRequestOptions } from './request-checks.ts'
import type { CrawlRequest, ReadyRequest } from './request.ts'

/** The maximum size of a request's `data` as JSON, in bytes. */
export const MAX_DATA_BYTES = 65_536
const DEFAULT_REDIRECTS = 10
/** The default time limit of one download. */
const DEFAULT_TIMEOUT_MS = 30_000

/** The options that a step sets for all its requests. */
export interface StepDefaults {
  readonly request: Omit<CrawlRequest, 'url'>
  readonly priority: number
  readonly downloader: string | undefined
}

/** The page whose step follows a request. */
export interface RequestParent {
  /** The URL of the page after redirects, against which relative URLs are resolved. */
  readonly url: string
  readonly step: string
  readonly session: string | null | undefined
}

/** What is needed from a crawl to convert an author's request to an item. */
export interface RequestRules {
  readonly crawl: string
  readonly steps: ReadonlyMap<string, StepDefaults>
  /** The query parameters that the comparison of requests ignores. */
  readonly ignore: readonly string[]
}

/** A request with the fields that its item has in the queue. */
export interface NewItem {
  readonly request: ReadyRequest
  /** The host of the request's URL, with the port unless it is the default port. An empty string if the URL has no host. */
  readonly host: string
  readonly data: unknown
  readonly priority: number
  readonly due: Date | undefined
  /** Two requests of a step with the same key are the same item. */
  readonly key: string
  /** Whether the request is left out if the crawl already has one with the same key. */
  readonly isFiltered: boolean
}

/**
 * Checks a request and fills in the defaults.
 *
 * @param given the request as the author wrote it
 * @param parent the page whose step follows the request; undefined for a seed
 * @throws PikoError `USAGE` that names every problem
 */
export function newItem(given: unknown, rules: RequestRules, parent: RequestParent | undefined): NewItem {
  const { options, problems: found } = readRequestOptions(given)
  const problems = [...found]
  const step = stepOf(options.step, rules, parent, problems)
  const defaults = rules.steps.get(step)
  const own = { ...defaults?.request, ...options }
  const body = bodyOf(own.body, problems)
  const { url, authorization, parsed } = absoluteUrl(String(own.url), parent?.url)
  const headers = joinedHeaders(
    body && { 'content-type': body.type },
    authorization === undefined ? undefined : { authorization },
    headersOf(defaults?.request.headers, problems),
    headersOf(options.headers, problems),
  )
  const method = own.method ?? (body ? 'POST' : 'GET')
  if (body && (method === 'GET' || method === 'HEAD')) problems.push(`body has no effect with method ${method}`)
  const data = dataOf(options.data, problems)
  if (problems.length > 0) throw refused(given, rules.crawl, problems)
  const session = own.session === undefined ? parent?.session : own.session === false ? null : own.session
  const downloader = own.downloader ?? defaults?.downloader
  const request: ReadyRequest = {
    url,
    step,
    method,
    headers,
    ...(body && { body: body.ready }),
    ...(session !== undefined && { session }),
    ...(downloader !== undefined && { downloader }),
    ...(own.cache !== undefined && { cache: cacheOf(own.cache) }),
    timeoutMs: own.timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(own.timeout),
    redirects: own.redirects ?? DEFAULT_REDIRECTS,
    accept: own.accept ?? [],
  }
  return {
    request,
    host: parsed?.host ?? '',
    data,
    priority: own.priority ?? defaults?.priority ?? 0,
    due: own.due === undefined ? undefined : instantOf('due', own.due),
    key: itemKey({
      method,
      canonicalUrl: parsed ? canonicalOf(parsed, rules.ignore) : url,
      body: body?.ready,
      extra: typeof own.dedup === 'string' ? own.dedup : '',
    }),
    isFiltered: own.dedup !== false,
  }
}

function stepOf(
  step: string | undefined,
  { steps }: RequestRules,
  parent: RequestParent | undefined,
  problems: string[],
): string {
  const [only] = steps.keys()
  const chosen = step ?? parent?.step ?? (steps.size === 1 ? only : undefined)
  const names = [...steps.keys()].join(', ')
  if (chosen === undefined) problems.push(`step is missing; expected one of ${names}`)
  else if (!steps.has(chosen)) problems.push(`step is ${describe(chosen)}; expected one of ${names}`)
  return chosen ?? ''
}

/**
 * Returns the absolute URL without its fragment. Moves a user and password from the URL to a header, because lists of items and logs show
 * URLs. An invalid URL is returned unchanged, so that only its own item fails and not the page.
 */
function absoluteUrl(
  text: string,
  base: string | undefined,
): { readonly url: string; readonly authorization: string | undefined; readonly parsed: URL | undefined } {
  const url = parsedUrl(text, base)
  if (!url) return { url: text, authorization: undefined, parsed: undefined }
  const authorization = basicAuth(url)
  // Each assignment parses the URL again, so only the parts that must change are assigned.
  if (authorization !== undefined) {
    url.username = ''
    url.password = ''
  }
  if (url.href.includes('#')) url.hash = ''
  return { url: url.href, authorization, parsed: url }
}

function dataOf(data: unknown, problems: string[]): unknown {
  if (data === undefined) return undefined
  const copy = jsonCopy(data, MAX_DATA_BYTES)
  problems.push(...copy.problems.map(({ path, text }) => `${pathText('data', path)} ${text}`))
  const bytes = copy.problems.length > 0 ? 0 : Buffer.byteLength(JSON.stringify(copy.value) ?? '')
  if (bytes > MAX_DATA_BYTES) problems.push(`data is ${bytes} bytes of JSON; expected at most ${MAX_DATA_BYTES}`)
  return copy.value
}

function cacheOf(cache: Exclude<CrawlRequest['cache'], undefined>): NonNullable<ReadyRequest['cache']> {
  if (typeof cache === 'boolean') return { mode: cache ? 'http' : 'off' }
  return { mode: cache.mode, ...(cache.ttl !== undefined && { ttlMs: durationMs(cache.ttl) }) }
}

function refused(given: unknown, crawl: string, problems: readonly string[]): PikoError {
  const shown = shownUrl(propertyOf(given, 'url') ?? given)
  return new PikoError('USAGE', problemsText(`crawl "${crawl}", request ${shown}`, problems), {
    details: { crawl, problems },
  })
}

/** Returns a URL for a message, without the parts that may contain secrets. */
function shownUrl(given: unknown): string {
  const isUrl = typeof given === 'string' || given instanceof URL
  return describe(isUrl ? redactText(String(given).split(/[?#]/, 1)[0] ?? '') : given)
}
