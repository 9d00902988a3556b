/** Which URLs: a glob such as `https://shop.test/products/**`, in which `*` stops at a `/`; or an expression. */
export type UrlPattern = string | RegExp

const SPECIAL = /[$()*+.?[\\\]^{|}]/g

/** A function that says whether a URL fits one of the patterns. */
export function urlMatcher(patterns: readonly UrlPattern[]): (url: string) => boolean {
  const expressions = patterns.map((pattern) => (typeof pattern === 'string' ? expressionOf(pattern) : pattern))
  // `search` ignores where the last test of a global or sticky expression ended.
  return (url) => expressions.some((expression) => url.search(expression) !== -1)
}

function expressionOf(glob: string): RegExp {
  const source = glob
    .split(/(\*+)/)
    .map((part) => (part === '*' ? '[^/]*' : part.startsWith('*') ? '.*' : part.replaceAll(SPECIAL, String.raw`\$&`)))
    .join('')
  return new RegExp(`^${source}$`, 's')
}
