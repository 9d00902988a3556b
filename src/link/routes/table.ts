import findMyWay from 'find-my-way'
import { describe, PikoError } from '../../errors.ts'
import type { Routes } from './define-routes.ts'
import type { RouteEntry } from './route-types.ts'

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

const MAX_PARAMETER = 1_024
/** A link has no methods. This value finds the routes of all methods. */
const ANY = 'LINK'
const MAX_DEPTH = 32

/** Finds the route for a path. Also finds routes that were added later. Removed routes are not found. */
export class RouteTable {
  readonly #roots: readonly Routes[]
  readonly #unwatch: (() => void)[]
  #router: ReturnType<typeof newRouter> | undefined
  #fallbacks: readonly Fallback[] = []

  /** @throws PikoError `USAGE` if two routes have the same path */
  constructor(roots: readonly Routes[]) {
    this.#roots = roots
    this.#unwatch = roots.map((root) => root.watch(() => (this.#router = undefined)))
    this.#built()
  }

  /** Stops watching for changes. */
  release(): void {
    for (const unwatch of this.#unwatch) unwatch()
  }

  /** Returns the route for a path. @param method the HTTP method; undefined for a link */
  find(path: string, method?: RouteEntry['method']): FoundRoute | undefined {
    const found = this.#built().find(method ?? ANY, path)
    if (found) {
      const { entry, chain, route } = found.store as Stored
      return { entry, chain, route, params: found.params as Record<string, string> }
    }
    const fallback = this.#fallbacks.find(
      ({ prefix }) => prefix === '' || path === prefix || path.startsWith(`${prefix}/`),
    )
    return fallback && { entry: undefined, chain: fallback.chain, route: path, params: {} }
  }

  #built(): ReturnType<typeof newRouter> {
    if (this.#router) return this.#router
    const router = newRouter()
    const fallbacks: Fallback[] = []
    for (const root of this.#roots) addAll(router, fallbacks, root, '', [])
    this.#fallbacks = fallbacks.toSorted((a, b) => b.prefix.length - a.prefix.length)
    return (this.#router = router)
  }
}

function newRouter(): findMyWay.Instance<findMyWay.HTTPVersion.V1> {
  return findMyWay({ maxParamLength: MAX_PARAMETER, ignoreTrailingSlash: true })
}

function addAll(
  router: ReturnType<typeof newRouter>,
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
    const store: Stored = { entry, chain, route }
    try {
      router.on(ANY, route, nothing, store)
      router.on(entry.method, route, nothing, store)
    } catch (cause) {
      const message = `two routes have the path ${describe(route)}; give one of them another path or prefix`
      throw new PikoError('USAGE', message, { cause, details: { route } })
    }
  }
  if (routes.options.fallback) fallbacks.push({ prefix, chain })
  for (const nested of routes.mounted) addAll(router, fallbacks, nested, prefix, chain)
}

function nothing(): void {}
