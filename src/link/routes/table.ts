import { describe, PikoError } from '../../errors.ts'
import type { Routes } from './define-routes.ts'
import type { RouteEntry } from './route-types.ts'
import { ANY, newRouter, nothing, type Router, syntaxProblem } from './router.ts'

/** A route, and the groups around it; the outermost is first. */
export interface FoundRoute {
  readonly entry: RouteEntry | undefined
  readonly chain: readonly Routes[]
  readonly route: string
  readonly params: Readonly<Record<string, string>>
}

interface Stored {
  readonly entry: RouteEntry
  readonly chain: readonly Routes[]
  readonly route: string
}

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
    const { router, fallbacks } = this.#current()
    const found = router.find(method ?? ANY, path)
    if (found) {
      const { entry, chain, route } = found.store as Stored
      return { entry, chain, route, params: found.params as Record<string, string> }
    }
    const fallback = fallbacks.find(({ prefix }) => prefix === '' || path === prefix || path.startsWith(`${prefix}/`))
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
  readonly router: Router
  readonly fallbacks: readonly Fallback[]
}

function built(roots: readonly Routes[]): Built {
  const router = newRouter()
  const fallbacks: Fallback[] = []
  for (const root of roots) addAll(router, fallbacks, root, '', [])
  return { router, fallbacks: fallbacks.toSorted((a, b) => b.prefix.length - a.prefix.length) }
}

function addAll(router: Router, fallbacks: Fallback[], routes: Routes, before: string, outer: readonly Routes[]): void {
  const prefix = before + (routes.options.prefix ?? '').replace(/\/$/, '')
  const chain = [...outer, routes]
  if (chain.length > MAX_DEPTH) throw new PikoError('USAGE', `routes are nested more than ${MAX_DEPTH} deep`)
  for (const entry of routes.entries) {
    const route = prefix + entry.path || '/'
    const store: Stored = { entry, chain, route }
    try {
      router.on(ANY, route, nothing, store)
      router.on(entry.method, route, nothing, store)
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
  for (const nested of routes.mounted) addAll(router, fallbacks, nested, prefix, chain)
}
