import { describe } from '../../errors.ts'
import { safely } from '../../errors-read.ts'
import { aFunction, listOf, type OptionCheck, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'

/** The proxies of a crawl: `urls`, a `provider`, or `tiers`. A URL has `http:`, `https:` or `socks5:`, and may have user and password. */
export interface ProxyPool {
  readonly urls?: readonly string[]
  /** Returns the URLs now. Called when the crawl begins, and again after each `refresh`. */
  readonly provider?: (signal: AbortSignal) => readonly string[] | Promise<readonly string[]>
  /** Groups of URLs. A host that blocks three requests in a row is asked through the next group. */
  readonly tiers?: readonly (readonly string[])[]
  /** Default `'5m'`. */
  readonly refresh?: Duration
  /** A proxy that fails this often in a row for a host is not used for it for a while. Default `{ errors: 3, time: '10m' }`. */
  readonly ban?: { readonly errors?: number; readonly time?: Duration }
}

export const MAX_PROXIES = 10_000
const MAX_TIERS = 20
const SCHEMES = /^(?:https?|socks5?):$/

/** Whether a text is the URL of a proxy. */
export function isProxyUrl(value: unknown): value is string {
  const url = typeof value === 'string' ? safely(() => new URL(value), undefined) : undefined
  return url !== undefined && SCHEMES.test(url.protocol) && url.hostname !== ''
}

/** Never shows a value: it may have a password. */
const aProxyUrl: OptionCheck = (value) =>
  isProxyUrl(value) ? undefined : 'is no URL of a proxy; expected one such as "http://proxy.example:8080"'

const someUrls: OptionCheck = (value) => {
  if (!Array.isArray(value)) return 'is no list; expected URLs of proxies'
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
      return `is no list of 1 to ${MAX_TIERS} lists of URLs`
    return listOf('lists of URLs', someUrls)(value)
  },
  refresh: aDuration(1_000),
  ban: (value) => {
    const { problems } = readOptions(value, BAN, "{ errors: 3, time: '10m' }")
    return problems.length === 0 ? undefined : `is ${describe(value)}: ${problems.join('; ')}`
  },
}

const SOURCES = ['urls', 'provider', 'tiers'] as const

/** All problems of a spec's `proxies`. No text has a URL. */
export function proxyProblems(value: unknown): readonly string[] {
  const { options, problems } = readOptions<ProxyPool>(value, CHECKS, "{ urls: ['http://proxy.example:8080'] }")
  const given = SOURCES.filter((name) => options[name] !== undefined)
  const isOne = given.length === 1 || problems.length > 0
  return [...problems, ...(isOne ? [] : [`expected one of ${SOURCES.join(', ')}`])].map((text) => `proxies: ${text}`)
}
