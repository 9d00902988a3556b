/**
 * A pattern of URLs: a regular expression, or a glob such as `https://shop.test/products/**`, in which `*` stops at a `/` and `**` does
 * not.
 */
export type UrlPattern = string | RegExp

const SPECIAL = /[$()*+.?[\\\]^{|}]/g

/** Returns a function that checks whether a URL matches one of the patterns. */
export function urlMatcher(patterns: readonly UrlPattern[]): (url: string) => boolean {
  const expressions = patterns.map((pattern) => (typeof pattern === 'string' ? expressionOf(pattern) : pattern))
  // Unlike `test`, `search` does not depend on where the last match of a global or sticky expression ended.
  return (url) => expressions.some((expression) => url.search(expression) !== -1)
}

function expressionOf(glob: string): RegExp {
  const source = glob
    .split(/(\*+)/)
    .map((part) => (part === '*' ? '[^/]*' : part.startsWith('*') ? '.*' : part.replaceAll(SPECIAL, String.raw`\$&`)))
    .join('')
  return new RegExp(`^${source}$`, 's')
}
