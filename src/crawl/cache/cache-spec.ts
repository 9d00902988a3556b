import { propertyOf } from '../../errors-read.ts'
import type { ResponseStore } from '../../http-client/http-cache.ts'
import { aText, expecting, oneOf, type OptionCheck, type OptionChecks, readOptions } from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'

/** How a crawl keeps what it has loaded. A request's own `cache` takes precedence. */
export interface CacheSpec {
  /**
   * `'http'`: as the servers' headers allow. `'force'`: everything, for `ttl`; while you write a crawl, a second run then sends nothing.
   * `'off'`: nothing, except for requests that say otherwise.
   */
  readonly mode: 'http' | 'force' | 'off'
  /** How long `'force'` keeps an answer. Default `'1d'`. */
  readonly ttl?: Duration
  /** Where answers are kept. Default: files in `folder`. */
  readonly store?: ResponseStore
  /** Default `.piko/http-cache`. */
  readonly folder?: string
}

const CHECKS: OptionChecks<CacheSpec> = {
  mode: oneOf('http', 'force', 'off'),
  ttl: aDuration(1),
  store: expecting('an object with get, set and delete, such as a cache', (value) =>
    ['get', 'set', 'delete'].every((name) => typeof propertyOf(value, name) === 'function'),
  ),
  folder: aText,
}

/** Checks a spec's `cache`. */
export const aCacheSpec: OptionCheck = (value) => {
  const { problems } = readOptions(value, CHECKS, "{ mode: 'http' }", ['mode'])
  return problems.length === 0 ? undefined : `is wrong: ${problems.join('; ')}`
}
