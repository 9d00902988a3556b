import { describe } from '../../errors.ts'
import { propertyOf, safely } from '../../errors-read.ts'
import { aFunction, listOf, type OptionCheck, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import { isService } from '../../resource/resource-graph.ts'
import type { Resource, ServiceClass } from '../../resource/resource.ts'
import type { Service } from '../../service/service.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'
import { CrawlError } from '../crawl-error.ts'

/**
 * The proxies of a crawl: exactly one of `urls`, `provider` and `tiers`. A proxy's URL begins with `http:`, `https:`, `socks:` or
 * `socks5:`, and may contain a user and a password.
 */
export interface ProxyPool {
  /** The URLs of all proxies. */
  readonly urls?: readonly string[]
  /** Returns the proxies' URLs. Called before the first request, and again after each `refresh`. */
  readonly provider?: (signal: AbortSignal) => readonly string[] | Promise<readonly string[]>
  /** Groups of URLs. After a host has blocked three requests in a row, requests to this host use the next group. */
  readonly tiers?: readonly (readonly string[])[]
  /** How long the `provider`'s URLs are used before it is called again. Default `'5m'`. */
  readonly refresh?: Duration
  /** After `errors` failures in a row at a host, a proxy is not used for this host for `time`. Default `{ errors: 3, time: '10m' }`. */
  readonly ban?: { readonly errors?: number; readonly time?: Duration }
}

/**
 * The proxies of a crawl, or a class of a resource or a service that has them. Each page borrows the resource, so a value of the scope
 * `process` is best.
 */
export type ProxySource =
  | ProxyPool
  | (new (...args: never[]) => Resource<ProxyPool>)
  | ServiceClass<Service & ProxyPool>

/** The name of the proxies' class among the resources of the crawl's job. */
export const PROXY_RESOURCE = 'crawl.proxies'

export const MAX_PROXIES = 10_000
const MAX_TIERS = 20
const SCHEMES = /^(?:https?|socks5?):$/

/** Whether a string is the URL of a proxy. */
export function isProxyUrl(value: unknown): value is string {
  const url = typeof value === 'string' ? safely(() => new URL(value), undefined) : undefined
  return url !== undefined && SCHEMES.test(url.protocol) && url.hostname !== ''
}

/** The message never contains the value, because it may include a password. */
const aProxyUrl: OptionCheck = (value) =>
  isProxyUrl(value) ? undefined : 'is not the URL of a proxy; expected one such as "http://proxy.example:8080"'

const someUrls: OptionCheck = (value) => {
  if (!Array.isArray(value)) return 'is not a list; expected URLs of proxies'
  if (value.length === 0) return 'is empty; expected URLs of proxies'
  if (value.length > MAX_PROXIES) return `has ${value.length} URLs; expected at most ${MAX_PROXIES}`
  return listOf('URLs of proxies', aProxyUrl)(value)
}

const BAN: OptionChecks<NonNullable<ProxyPool['ban']>> = { errors: wholeNumber(1), time: aDuration(1) }

const CHECKS: OptionChecks<ProxyPool> = {
  urls: someUrls,
  provider: aFunction,
  tiers: (value) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_TIERS)
      return `is not a list of 1 to ${MAX_TIERS} lists of URLs`
    return listOf('lists of URLs', someUrls)(value)
  },
  refresh: aDuration(1_000),
  ban: (value) => {
    const { problems } = readOptions(value, BAN, "{ errors: 3, time: '10m' }")
    return problems.length === 0 ? undefined : `is ${describe(value)}: ${problems.join('; ')}`
  },
}

/** The names of the options of a pool. */
export const PROXY_OPTIONS = Object.keys(CHECKS) as readonly (keyof ProxyPool)[]
const SOURCES = ['urls', 'provider', 'tiers'] as const

/**
 * Reads the proxies that a page has borrowed. A service may have other members.
 *
 * @throws CrawlError of class `setup`
 */
export function borrowedPool(value: unknown): ProxyPool {
  const given = PROXY_OPTIONS.map((name): [string, unknown] => {
    const option: unknown = propertyOf(value, name)
    // The provider may be a method of a class.
    return [name, typeof option === 'function' ? (option.bind(value) as unknown) : option]
  })
  const pool: ProxyPool = Object.fromEntries(given.filter(([, option]) => option !== undefined))
  const problems = proxyProblems(pool)
  if (problems.length > 0)
    throw new CrawlError(`the class of the crawl's proxies has invalid options: ${problems.join('; ')}`, {
      class: 'setup',
    })
  return pool
}

const NO_CLASS =
  'proxies is a function; expected a class that extends Resource or Service, or { provider: async (signal) => [ …URLs ] }'

function isBorrowable(value: object): boolean {
  return isService(value) || typeof propertyOf(propertyOf(value, 'prototype'), 'acquire') === 'function'
}

/** Returns all problems of the `proxies` option of a spec. The messages never contain a URL, because it may include a password. */
export function proxyProblems(value: unknown): readonly string[] {
  // A class is checked with the resources of the job, and its options when a page borrows a value of it.
  if (typeof value === 'function') return isBorrowable(value) ? [] : [NO_CLASS]
  const { options, problems } = readOptions<ProxyPool>(value, CHECKS, "{ urls: ['http://proxy.example:8080'] }")
  const given = SOURCES.filter((name) => options[name] !== undefined)
  const isOne = given.length === 1 || problems.length > 0
  return [...problems, ...(isOne ? [] : [`expected one of ${SOURCES.join(', ')}`])].map((text) => `proxies: ${text}`)
}
