import findMyWay from 'find-my-way'
import { messageOf } from '../../errors-read.ts'

export type Router = findMyWay.Instance<findMyWay.HTTPVersion.V1>

/** A link has no methods. This value finds the routes of all methods. */
export const ANY = 'LINK'
const MAX_PARAMETER = 1_024

export function newRouter(): Router {
  return findMyWay({ maxParamLength: MAX_PARAMETER, ignoreTrailingSlash: true })
}

/** Returns what is wrong with the syntax of a path, such as a bracket that is not closed; undefined if nothing is. */
export function syntaxProblem(path: string): string | undefined {
  try {
    newRouter().on(ANY, path === '' ? '/' : path, nothing)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

export function nothing(): void {}
