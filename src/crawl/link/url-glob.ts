/**
 * A pattern for URLs: a regular expression, or a glob such as `https://shop.test/products/**`. In a glob, `*` does not match a `/`, but
 * `**` does.
 */
export type UrlPattern = string | RegExp

const SPECIAL = /[$()*+.?[\\\]^{|}]/g

/** Returns a function that checks whether a URL matches one of the patterns. */
export function urlMatcher(patterns: readonly UrlPattern[]): (url: string) => boolean {
  const expressions = patterns.map((pattern) => (typeof pattern === 'string' ? expressionOf(pattern) : pattern))
  // `search` is used instead of `test`, because the result of `test` with a global or sticky expression depends on its last match.
  return (url) => expressions.some((expression) => url.search(expression) !== -1)
}

function expressionOf(glob: string): RegExp {
  const source = glob
    .split(/(\*+)/)
    .map((part) => (part === '*' ? '[^/]*' : part.startsWith('*') ? '.*' : part.replaceAll(SPECIAL, String.raw`\$&`)))
    .join('')
  return new RegExp(`^${source}$`, 's')
}
