/** Query parameters that only name an advertising campaign and do not change the page, for `dedup.ignore`. */
export const TRACKING_PARAMETERS: readonly string[] = ['utm_*', 'fbclid', 'gclid']

const UNRESERVED = /^[\w.~-]$/
const ESCAPE = /%([\dA-Fa-f]{2})/g

/**
 * Returns the same text for all URLs that name the same page. The URL is parsed as browsers do. Fragment, default port and a dot at the end
 * of the host are removed, percent-encoding is normalised, and the query is sorted by name, where parameters of the same name keep their
 * order. The canonical URL of a canonical URL is the same text.
 *
 * @param url an absolute URL
 * @param ignore names of query parameters to leave out, in which `*` stands for any characters
 * @returns the URL itself if it can't be parsed
 */
export function canonicalUrl(url: string, ignore: readonly string[] = []): string {
  const parsed = parsedUrl(url)
  if (!parsed) return url
  // Each assignment parses the URL again, so only what must change is assigned.
  if (parsed.href.includes('#')) parsed.hash = ''
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return parsed.href
  // A host with a dot at its end is the same host.
  if (parsed.hostname.endsWith('.')) parsed.hostname = parsed.hostname.slice(0, -1)
  if (parsed.pathname.includes('%')) parsed.pathname = normalEscapes(parsed.pathname)
  // A URL without parameters may still end with `?`.
  if (parsed.href.includes('?')) parsed.search = sortedQuery(parsed.search.slice(1), ignore)
  return parsed.href
}

/** Parses a URL, relative to `base` if that is given. Returns undefined if it is not a URL. */
export function parsedUrl(url: string, base?: string): URL | undefined {
  return URL.parse(url, base) ?? undefined
}

/** Decodes the characters that need no escape, and writes all other escapes in upper case. Pure. */
export function normalEscapes(text: string): string {
  return text.replaceAll(ESCAPE, (whole, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return UNRESERVED.test(character) ? character : whole.toUpperCase()
  })
}

function sortedQuery(query: string, ignore: readonly string[]): string {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => normalEscapes(part))
    .map((part) => ({ part, name: part.split('=', 1)[0] ?? '' }))
    .filter(({ name }) => !ignore.some((pattern) => matchesName(pattern, name)))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))
    .map(({ part }) => part)
    .join('&')
}

/** Whether a name matches a pattern, in which `*` stands for any characters. */
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
