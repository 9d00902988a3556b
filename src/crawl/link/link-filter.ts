import { expecting, isList, oneOf, type OptionChecks } from '../../options.ts'
import { parsedUrl } from '../request/canonical-url.ts'
import { urlMatcher, type UrlPattern } from './url-glob.ts'

/** Which requests `ctx.follow` accepts. Others are left out. Seeds are never filtered. */
export interface FollowSpec {
  /**
   * `'host'`: only URLs with the host of the seed that led to the page. `'domain'`: that host without `www.`, and its subdomains. `'any'`:
   * URLs of every host. Default `'any'`.
   */
  readonly within?: 'host' | 'domain' | 'any'
  /**
   * Accepts only URLs that match one of these patterns. A glob must match the whole URL: `https://shop.test/products/**`. Default: all
   * URLs.
   */
  readonly include?: readonly UrlPattern[]
  /** Leaves out URLs that match one of these patterns. Default: none. */
  readonly exclude?: readonly UrlPattern[]
}

const patterns = expecting(
  'a list of globs such as "https://shop.test/**", or regular expressions',
  (value) => isList(value) && value.every((one) => typeof one === 'string' || one instanceof RegExp),
)

export const FOLLOW_CHECKS: OptionChecks<FollowSpec> = {
  within: oneOf('host', 'domain', 'any'),
  include: patterns,
  exclude: patterns,
}

/** Why a URL is left out: `host` because of `within`, `pattern` because of `include` or `exclude`. */
export type LinkRefusal = 'host' | 'pattern'

/**
 * Returns why a URL is left out; undefined if it is followed.
 *
 * @param root the host of the seed that led to the page
 */
export type LinkFilter = (url: string, root: string) => LinkRefusal | undefined

/** Creates the filter of a crawl or of a step. */
export function linkFilter({ within = 'any', include, exclude }: FollowSpec): LinkFilter {
  const isIncluded = include ? urlMatcher(include) : () => true
  const isExcluded = exclude ? urlMatcher(exclude) : () => false
  return (url, root) => {
    if (!isWithin(within, url, root)) return 'host'
    return isIncluded(url) && !isExcluded(url) ? undefined : 'pattern'
  }
}

function isWithin(within: 'host' | 'domain' | 'any', url: string, root: string): boolean {
  if (within === 'any') return true
  const host = parsedUrl(url)?.host
  if (host === undefined) return false
  if (within === 'host') return host === root
  const domain = root.replace(/^www\./, '')
  return host === domain || host.endsWith(`.${domain}`)
}
