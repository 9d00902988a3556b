import { describe, PikoError } from '../../errors.ts'
import { propertyOf } from '../../errors-read.ts'
import { basicAuth } from '../../http-client/url.ts'
import { jsonCopy, pathText } from '../../json/json-copy.ts'
import { problemsText } from '../../options.ts'
import { redactText } from '../../run/redact.ts'
import { durationMs } from '../../time/duration.ts'
import { instantOf } from '../../time/instant.ts'
import { canonicalUrl, parsedUrl } from './canonical-url.ts'
import { itemKey } from './item-key.ts'
import { bodyOf, headersOf, joinedHeaders, readRequestOptions } from './request-checks.ts'
import type { CrawlRequest, ReadyRequest } from './request.ts'

/** The largest JSON text of a request's `data`, in bytes. */
export const MAX_DATA_BYTES = 65_536
const DEFAULT_REDIRECTS = 10
/** The longest time of one download. */
const DEFAULT_TIMEOUT_MS = 30_000

/** What a step has for its requests, parsed. */
export interface StepDefaults {
  readonly request: Omit<CrawlRequest, 'url'>
  readonly priority: number
  readonly downloader: string | undefined
}

/** The page whose step follows a request. */
export interface RequestParent {
  /** The page's final URL, against which relative ones are resolved. */
  readonly url: string
  readonly step: string
  readonly session: string | null | undefined
}

/** What turns an author's request into an item. */
export interface RequestRules {
  readonly crawl: string
  readonly steps: ReadonlyMap<string, StepDefaults>
  /** Query parameters that make no difference. */
  readonly ignore: readonly string[]
}

/** A request with what the queue needs to know of it. */
export interface NewItem {
  readonly request: ReadyRequest
  readonly data: unknown
  readonly priority: number
  readonly due: Date | undefined
  /** The same for two requests that are one item. */
  readonly key: string
  /** False: it is no duplicate of any other. */
  readonly isFiltered: boolean
}

/**
 * Fills in and checks a request.
 *
 * @param parent undefined for a seed
 * @throws PikoError `USAGE` that names every problem
 */
export function newItem(given: unknown, rules: RequestRules, parent: RequestParent | undefined): NewItem {
  const { options, problems: found } = readRequestOptions(given)
  const problems = [...found]
  const step = stepOf(options.step, rules, parent, problems)
  const defaults = rules.steps.get(step)
  const own = { ...defaults?.request, ...options }
  const body = bodyOf(own.body, problems)
  const { url, authorization } = absoluteUrl(String(own.url), parent?.url)
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
    data,
    priority: own.priority ?? defaults?.priority ?? 0,
    due: own.due === undefined ? undefined : instantOf('due', own.due),
    key: itemKey({
      method,
      canonicalUrl: canonicalUrl(request.url, rules.ignore),
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
 * The URL without its fragment, and its user and password as a header: URLs are shown in lists of items and in logs. A text that is no URL
 * stays as it is: its item fails alone, and its page does not.
 */
function absoluteUrl(
  text: string,
  base: string | undefined,
): { readonly url: string; readonly authorization: string | undefined } {
  const url = parsedUrl(text, base)
  if (!url) return { url: text, authorization: undefined }
  const authorization = basicAuth(url)
  url.username = ''
  url.password = ''
  url.hash = ''
  return { url: url.href, authorization }
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

/** A URL without what may be secret in it. */
function shownUrl(given: unknown): string {
  const isUrl = typeof given === 'string' || given instanceof URL
  return describe(isUrl ? redactText(String(given).split(/[?#]/, 1)[0] ?? '') : given)
}
