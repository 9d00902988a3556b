import { describe } from '../errors.ts'
import type { AnyResourceContext, Borrower, Resource } from './resource.ts'

/** How the borrowing attempt has ended. */
export type LoanOutcome = { readonly ok: true } | { readonly ok: false; readonly error: Error }

type ValueGenerator = AsyncGenerator<unknown, void, void>

/** A value, and the generator that has yielded it and is paused at its `yield`. */
export interface Acquired {
  readonly value: unknown
  readonly generator: ValueGenerator
}

/** The context without its types. A shared value does not belong to a run, so parts of the context may be missing. */
export interface AcquireContext extends Partial<Borrower> {
  readonly resources: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
}

/** Runs a resource's generator up to its only `yield`. */
export async function acquire(resource: Resource<unknown>, ctx: AcquireContext): Promise<Acquired> {
  // The context contains the resources that the class declares, but its type does not show this.
  const generator: unknown = resource.acquire(ctx as AnyResourceContext)
  if (!isGenerator(generator)) {
    // If the result is a promise and not a generator, this handles its rejection.
    Promise.resolve(generator).catch(() => {})
    const kind = generator instanceof Promise ? 'a promise' : describe(generator)
    throw new TypeError(
      `acquire returned ${kind}; expected an async generator: async *acquire(ctx) { … yield value … }`,
    )
  }
  const first = await generator.next()
  if (first.done) throw new TypeError('acquire ended without a yield; expected exactly one')
  return { value: first.value, generator }
}

/**
 * Continues the generator until it ends: with `next()` after a success, with `throw(error)` after a failure.
 *
 * @throws any error of the generator, except the error of the outcome
 */
export async function finish({ generator }: Acquired, outcome: LoanOutcome): Promise<void> {
  try {
    const last = await (outcome.ok ? generator.next() : generator.throw(outcome.error))
    if (last.done) return
    await generator.return()
  } catch (error) {
    if (outcome.ok || error !== outcome.error) throw error
    return
  }
  throw new TypeError('acquire yielded a second time; expected exactly one yield')
}

function isGenerator(value: unknown): value is ValueGenerator {
  if (typeof value !== 'object' || value === null) return false
  const { next, throw: raise, return: end } = value as Partial<Record<'next' | 'throw' | 'return', unknown>>
  return typeof next === 'function' && typeof raise === 'function' && typeof end === 'function'
}
