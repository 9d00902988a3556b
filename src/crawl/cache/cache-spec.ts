import { propertyOf } from '../../errors-read.ts'
import type { ResponseStore } from '../../http-client/http-cache.ts'
import { aText, expecting, oneOf, type OptionCheck, type OptionChecks, readOptions } from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'

/** How a crawl caches responses. The `cache` option of a request takes precedence. */
export interface CacheSpec {
  /**
   * `'http'`: caches what the servers' headers allow, except for requests with a session. `'force'`: caches every response for `ttl`, so
   * that a second run sends no requests; this helps while you develop a crawl. `'off'`: caches nothing, except for requests with their own
   * `cache` option.
   */
  readonly mode: 'http' | 'force' | 'off'
  /** How long `'force'` keeps a response. Default `'1d'`. */
  readonly ttl?: Duration
  /** The store of the responses. Default: files in `folder`. */
  readonly store?: ResponseStore
  /** The folder for the cached responses, if there is no `store`. Default `.piko/http-cache`. */
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
