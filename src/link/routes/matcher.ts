import type { Routes } from './define-routes.ts'
import type { RouteEntry } from './route-types.ts'
import { ANY, isPlain, newRouter, nothing, type Router, withoutSlash } from './router.ts'

/** A route, and the groups around it; the outermost is first. */
export interface FoundRoute {
  readonly entry: RouteEntry | undefined
  readonly chain: readonly Routes[]
  readonly route: string
  readonly params: Readonly<Record<string, string>>
}

/** A route of a {@link Matcher}. */
export interface StoredRoute {
  readonly entry: RouteEntry
  readonly chain: readonly Routes[]
  readonly route: string
}

/** Finds the route for a path: by its text alone, or with find-my-way for routes with parameters and for unusual paths. */
export class Matcher {
  readonly #plain = new Map<string, StoredRoute>()
  readonly #all: StoredRoute[] = []
  #router: Router | undefined

  /** @throws if the path is taken, or its syntax is wrong */
  add(stored: StoredRoute): void {
    const { route } = stored
    const key = withoutSlash(route)
    if (this.#plain.has(key)) throw new Error('the path is taken')
    if (isPlain(route)) this.#plain.set(key, stored)
    else this.#router ??= routerOf(this.#all)
    if (this.#router) addTo(this.#router, stored)
    this.#all.push(stored)
  }

  /** @param method the HTTP method; undefined for a link */
  find(path: string, method: RouteEntry['method'] | undefined): FoundRoute | undefined {
    const plain = this.#plain.get(path) ?? this.#plain.get(withoutSlash(path))
    if (plain && (method === undefined || plain.entry.method === method)) {
      const { entry, chain, route } = plain
      return { entry, chain, route, params: {} }
    }
    if (!this.#router && isPlain(path)) return undefined
    const found = (this.#router ??= routerOf(this.#all)).find(method ?? ANY, path)
    if (!found) return undefined
    const { entry, chain, route } = found.store as StoredRoute
    return { entry, chain, route, params: found.params as Record<string, string> }
  }
}

function routerOf(all: readonly StoredRoute[]): Router {
  const router = newRouter()
  for (const stored of all) addTo(router, stored)
  return router
}

function addTo(router: Router, stored: StoredRoute): void {
  router.on(ANY, stored.route, nothing, stored)
  router.on(stored.entry.method, stored.route, nothing, stored)
}
