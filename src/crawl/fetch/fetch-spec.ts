import { propertyOf } from '../../errors-read.ts'
import { aText, flag, type OptionCheck, problemOf } from '../../options.ts'
import { aCacheSpec, type CacheSpec } from '../cache/cache-spec.ts'
import { proxyProblems, type ProxySource } from '../proxies/proxy-spec.ts'
import { headerProblem } from '../request/request-checks.ts'
import { type SessionSpec, sessionProblems } from '../sessions/session-spec.ts'

/** The crawl options about how pages are loaded. */
export interface FetchSpec {
  /**
   * The `user-agent` header of requests, such as `acme-bot (+https://acme.test/bot)`. The first word, here `acme-bot`, is also the
   * crawler's name in robots.txt files. In `Mozilla/5.0 (compatible; acme-bot/1.0)`, it is the word after `compatible`. Default `piko`.
   */
  readonly userAgent?: string
  /** Whether the crawl obeys robots.txt. Default true. */
  readonly robots?: boolean
  /** Whether and how cookies and logins are kept between requests. Default: no sessions. */
  readonly session?: SessionSpec
  /** The proxies through which requests are sent, or the class of a resource or service that has them. Default: none. */
  readonly proxies?: ProxySource
  /** How the crawl caches responses. Default: it caches nothing. */
  readonly cache?: CacheSpec
}

const aUserAgent: OptionCheck = (value) => aText(value) ?? headerProblem('user-agent', value)

/** Returns all problems of the options of {@link FetchSpec} in a crawl's spec. */
export function fetchProblems(spec: unknown): readonly string[] {
  const given = (name: keyof FetchSpec): unknown => propertyOf(spec, name)
  const simple = (name: keyof FetchSpec, check: typeof flag): string[] => {
    const problem = given(name) === undefined ? undefined : problemOf(check, given(name))
    return problem === undefined ? [] : [`${name} ${problem}`]
  }
  return [
    ...simple('userAgent', aUserAgent),
    ...simple('robots', flag),
    ...simple('cache', aCacheSpec),
    ...(given('session') === undefined ? [] : sessionProblems(given('session'))),
    ...(given('proxies') === undefined ? [] : proxyProblems(given('proxies'))),
  ]
}
