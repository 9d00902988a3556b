import { answerFrom } from './answer.ts'
import { Begun, dropResult, withoutStrayErrors } from './replied.ts'
import type { Routes } from './define-routes.ts'
import type { Middleware, RouteRequest } from './route-types.ts'

/**
 * Calls the handler inside the middleware of all groups around it. An error goes to the nearest group that handles errors.
 *
 * @returns without middleware the handler's own result, otherwise a promise of the result
 */
export function runChain(chain: readonly Routes[], request: RouteRequest, handler: () => unknown, from = 0): unknown {
  for (let at = from; at < chain.length; at++) {
    const routes = chain[at] as Routes
    const { use, before, after, onError } = routes.options
    if (use?.length || before || after || onError)
      return runOne(routes, request, async () => runChain(chain, request, handler, at + 1))
  }
  return handler()
}

async function runOne(routes: Routes, request: RouteRequest, inner: () => Promise<unknown>): Promise<unknown> {
  const { use = [], onError } = routes.options
  let made: unknown
  const watched = async (): Promise<unknown> => (made = withoutStrayErrors(await inner()))
  try {
    const result = await wrapped(use, request, () => hooked(routes, request, watched))
    // If middleware has returned another result, the stream is not needed.
    if (made instanceof Begun && result !== made) dropResult(made)
    return result
  } catch (error) {
    dropResult(made)
    if (!onError) throw error
    return answerFrom(await onError(error, request))
  }
}

async function hooked(routes: Routes, request: RouteRequest, inner: () => Promise<unknown>): Promise<unknown> {
  const { before = [], after = [] } = routes.options
  for (const hook of before) {
    const early = await hook(request)
    if (early !== undefined) return early
  }
  let result = await inner()
  for (const hook of after) {
    const replaced = await hook(request, result)
    if (replaced !== undefined) result = replaced
  }
  return result
}

function wrapped(use: readonly Middleware[], request: RouteRequest, inner: () => Promise<unknown>): Promise<unknown> {
  const [first, ...rest] = use
  if (!first) return inner()
  let isCalled = false
  const next = async (): Promise<unknown> => {
    if (isCalled)
      throw new Error(`a middleware of "${request.route}" called next() twice; the body can be read only once`)
    isCalled = true
    return wrapped(rest, request, inner)
  }
  return asPromise(() => first(request, next))
}

async function asPromise(call: () => unknown): Promise<unknown> {
  return call()
}

/** Lets the nearest group that handles errors answer. Rejects with the error if there is none. */
export async function onErrorOf(chain: readonly Routes[], error: unknown, request: RouteRequest): Promise<unknown> {
  let last = error
  for (const { options } of chain.toReversed()) {
    if (!options.onError) continue
    try {
      return answerFrom(await options.onError(last, request))
    } catch (thrown) {
      last = thrown
    }
  }
  throw last
}
