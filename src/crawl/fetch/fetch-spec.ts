import { propertyOf } from '../../errors-read.ts'
import { aText, flag, problemOf } from '../../options.ts'
import { aCacheSpec, type CacheSpec } from '../cache/cache-spec.ts'
import { type ProxyPool, proxyProblems } from '../proxies/proxy-spec.ts'
import { type SessionSpec, sessionProblems } from '../sessions/session-spec.ts'

/** The parts of a crawl's spec that decide how it loads. */
export interface FetchSpec {
  /** What the crawl calls itself, also in robots.txt: `acme-bot (+https://acme.test/bot)`. Default `piko`. */
  readonly userAgent?: string
  /** Whether robots.txt is asked first. Default true. */
  readonly robots?: boolean
  readonly session?: SessionSpec
  readonly proxies?: ProxyPool
  /** How the crawl keeps what it has loaded. Default: not at all. */
  readonly cache?: CacheSpec
}

/** All problems of the parts of a spec that this room reads. */
export function fetchProblems(spec: unknown): readonly string[] {
  const given = (name: keyof FetchSpec): unknown => propertyOf(spec, name)
  const simple = (name: keyof FetchSpec, check: typeof flag): string[] => {
    const problem = given(name) === undefined ? undefined : problemOf(check, given(name))
    return problem === undefined ? [] : [`${name} ${problem}`]
  }
  return [
    ...simple('userAgent', aText),
    ...simple('robots', flag),
    ...simple('cache', aCacheSpec),
    ...(given('session') === undefined ? [] : sessionProblems(given('session'))),
    ...(given('proxies') === undefined ? [] : proxyProblems(given('proxies'))),
  ]
}
