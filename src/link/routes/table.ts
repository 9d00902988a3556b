import { describe, PikoError } from '../../errors.ts'
import type { Routes } from './define-routes.ts'
import { type FoundRoute, Matcher } from './matcher.ts'
import type { RouteEntry } from './route-types.ts'
import { syntaxProblem } from './router.ts'

interface Fallback {
  readonly prefix: string
  readonly chain: readonly Routes[]
}

const MAX_DEPTH = 32

/**
 * Finds the route for a path. Also finds routes that were added later. Removed routes are not found. If a later change gives two routes the
 * same path, the change has no effect until the conflict is fixed: the table keeps its previous routes.
 */
export class RouteTable {
  readonly #roots: readonly Routes[]
  readonly #unwatch: (() => void)[]
  readonly #refused: (error: unknown) => void
  #built: Built
  #isChanged = false

  /**
   * @param refused called with the reason when a later change can't take effect
   * @throws PikoError `USAGE` if two routes have the same path
   */
  constructor(roots: readonly Routes[], refused: (error: unknown) => void) {
    this.#roots = roots
    this.#refused = refused
    this.#built = built(roots)
    this.#unwatch = roots.map((root) => root.watch(() => (this.#isChanged = true)))
  }

  /** Stops watching for changes. */
  release(): void {
    for (const unwatch of this.#unwatch) unwatch()
  }

  /** Returns the route for a path. @param method the HTTP method; undefined for a link */
  find(path: string, method?: RouteEntry['method']): FoundRoute | undefined {
    const { matcher, fallbacks } = this.#current()
    const found = matcher.find(path, method)
    if (found) return found
    const fallback = fallbacks.find(({ prefix }) => isBelow(path, prefix))
    return fallback && { entry: undefined, chain: fallback.chain, route: path, params: {} }
  }

  #current(): Built {
    if (this.#isChanged) {
      this.#isChanged = false
      try {
        this.#built = built(this.#roots)
      } catch (error) {
        this.#refused(error)
      }
    }
    return this.#built
  }
}

interface Built {
  readonly matcher: Matcher
  readonly fallbacks: readonly Fallback[]
}

/** Whether a path begins with all parts of a prefix. A parameter of the prefix, such as `:id`, stands for any part. */
function isBelow(path: string, prefix: string): boolean {
  if (!prefix.includes(':')) return prefix === '' || path === prefix || path.startsWith(`${prefix}/`)
  const parts = path.split('/')
  return prefix.split('/').every((part, at) => part === parts[at] || (part.startsWith(':') && parts[at] !== undefined))
}

function built(roots: readonly Routes[]): Built {
  const matcher = new Matcher()
  const fallbacks: Fallback[] = []
  for (const root of roots) addAll(matcher, fallbacks, root, '', [])
  return { matcher, fallbacks: fallbacks.toSorted((a, b) => b.prefix.length - a.prefix.length) }
}

function addAll(
  matcher: Matcher,
  fallbacks: Fallback[],
  routes: Routes,
  before: string,
  outer: readonly Routes[],
): void {
  const prefix = before + (routes.options.prefix ?? '').replace(/\/$/, '')
  const chain = [...outer, routes]
  if (chain.length > MAX_DEPTH) throw new PikoError('USAGE', `routes are nested more than ${MAX_DEPTH} deep`)
  for (const entry of routes.entries) {
    const route = prefix + entry.path || '/'
    try {
      matcher.add({ entry, chain, route })
    } catch (cause) {
      const problem = syntaxProblem(route)
      const message =
        problem === undefined
          ? `two routes have the path ${describe(route)}; give one of them another path or prefix`
          : `the path ${describe(route)} can't be used: ${problem}; correct the path or the prefix`
      throw new PikoError('USAGE', message, { cause, details: { route } })
    }
  }
  if (routes.options.fallback) fallbacks.push({ prefix, chain })
  for (const nested of routes.mounted) addAll(matcher, fallbacks, nested, prefix, chain)
}
