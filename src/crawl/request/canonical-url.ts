/** Query parameters of advertising campaigns, which do not change the page; for `dedup.ignore`. */
export const TRACKING_PARAMETERS: readonly string[] = ['utm_*', 'fbclid', 'gclid']

const UNRESERVED = /^[\w.~-]$/
/**
 * Characters that a URL may contain only in escaped form (RFC 3986). Browsers leave most of them as they are in a query, and some in a path.
 */
const NEVER_PLAIN = /["<>[\\\]^`{|}]/g
const TO_NORMALISE = /[%"<>[\\\]^`{|}]/
const ESCAPE = /%([\dA-Fa-f]{2})/g

/**
 * Returns the same text for all URLs of the same page. The URL is parsed as in a browser. The fragment, the default port and a dot at the
 * end of the host are removed. Percent-encoding is normalised. The query is sorted by name; parameters with the same name keep their order.
 * A canonical URL is its own canonical URL.
 *
 * @param url an absolute URL
 * @param ignore names of query parameters to remove; `*` matches any characters
 * @returns the URL unchanged if it can't be parsed
 */
export function canonicalUrl(url: string, ignore: readonly string[] = []): string {
  const parsed = parsedUrl(url)
  return parsed ? canonicalOf(parsed, ignore) : url
}

/** Like {@link canonicalUrl}, but takes a URL that is already parsed, and may change it. */
export function canonicalOf(parsed: URL, ignore: readonly string[]): string {
  // Each assignment parses the URL again, so only the parts that must change are assigned.
  if (parsed.href.includes('#')) parsed.hash = ''
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return parsed.href
  // A host name with a dot at its end means the same host.
  if (parsed.hostname.endsWith('.')) parsed.hostname = parsed.hostname.slice(0, -1)
  if (TO_NORMALISE.test(parsed.pathname)) parsed.pathname = allEscapes(parsed.pathname)
  // A URL without parameters may still end with `?`.
  if (parsed.href.includes('?')) parsed.search = sortedQuery(parsed.search.slice(1), ignore)
  return parsed.href
}

/** Parses a URL, relative to `base` if given. Returns undefined for an invalid URL. */
export function parsedUrl(url: string, base?: string): URL | undefined {
  return URL.parse(url, base) ?? undefined
}

/** Normalises percent-encoding: decodes the characters that need no escape, and writes all other escapes in upper case. Pure. */
export function normalEscapes(text: string): string {
  return text.replaceAll(ESCAPE, (whole, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return UNRESERVED.test(character) ? character : whole.toUpperCase()
  })
}

/** Normalises percent-encoding, and escapes the characters of a URL that must be escaped. */
function allEscapes(text: string): string {
  return normalEscapes(text).replaceAll(NEVER_PLAIN, (character) => encodeURIComponent(character))
}

function sortedQuery(query: string, ignore: readonly string[]): string {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => allEscapes(part))
    .map((part) => ({ part, name: part.split('=', 1)[0] ?? '' }))
    .filter(({ name }) => !ignore.some((pattern) => matchesName(allEscapes(pattern), name)))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))
    .map(({ part }) => part)
    .join('&')
}

/** Whether a name matches a pattern; `*` matches any characters. */
function matchesName(pattern: string, name: string): boolean {
  const [first = '', ...others] = pattern.split('*')
  const last = others.pop()
  if (last === undefined) return name === first
  if (!name.startsWith(first)) return false
  let from = first.length
  for (const part of others) {
    const at = name.indexOf(part, from)
    if (at === -1) return false
    from = at + part.length
  }
  return name.length - last.length >= from && name.endsWith(last)
}
