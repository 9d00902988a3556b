import type findMyWay from 'find-my-way'
import { messageOf } from '../../errors-read.ts'
import { loadPackage } from '../../load-package.ts'

export type Router = findMyWay.Instance<findMyWay.HTTPVersion.V1>

/** A link has no methods. This value finds the routes of all methods. */
export const ANY = 'LINK'
const MAX_PARAMETER = 1_024
const PLAIN = /^\/[\w\-./~]*$/

/** Creates a router. The library is loaded here, because it needs 2 MB of memory and most paths have no parameters. */
export function newRouter(): Router {
  const create = loadPackage<typeof findMyWay>('find-my-way')
  return create({ maxParamLength: MAX_PARAMETER, ignoreTrailingSlash: true })
}

/** Whether a path has no parameters, wildcards or escapes, so that a route for it can be found by its text alone. */
export function isPlain(path: string): boolean {
  return PLAIN.test(path)
}

/** A path with and without a slash at its end is the same. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

/** Returns what is wrong with the syntax of a path, such as a bracket that is not closed; undefined if nothing is. */
export function syntaxProblem(path: string): string | undefined {
  if (path === '' || isPlain(path)) return undefined
  try {
    newRouter().on(ANY, path, nothing)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

export function nothing(): void {}
