import { messageOf } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import type { Resource, ResourceContext } from './resource.ts'
import type { Semaphore } from './semaphore.ts'

/** How the borrowing run ended. */
export type LoanOutcome = { readonly ok: true } | { readonly ok: false; readonly error: Error }

/** A resource of the process with its slots. */
export interface Lender {
  readonly name: string
  readonly resource: Resource<unknown>
  readonly semaphore: Semaphore
}

/**
 * One slot of one resource, held by one run, and the value that belongs to it. Drives the resource's generator to its only `yield` and
 * later to its end, then frees the slot.
 *
 * `held` → `take()` → `taking` → `taken` → `giveBack()` → `over`. After an abort while `taking`, the loan finishes by itself: a late value
 * goes straight back, and only then is the slot free.
 */
export class Loan {
  readonly #lender: Lender
  readonly #ctx: ResourceContext
  #state: 'held' | 'taking' | 'taken' | 'over' = 'held'
  #generator: AsyncGenerator<unknown, void, void> | undefined

  /** Takes over an acquired slot. */
  constructor(lender: Lender, ctx: ResourceContext) {
    this.#lender = lender
    this.#ctx = ctx
  }

  /**
   * @throws PikoError `RESOURCE_FAILED`
   * @throws the reason of the context's signal if it aborts first
   */
  async take(): Promise<unknown> {
    const { signal } = this.#ctx
    if (signal.aborted) throw toError(signal.reason)
    this.#state = 'taking'
    return await new Promise((resolve, reject) => {
      let left: Error | undefined
      const leave = (): void => reject((left = toError(signal.reason)))
      signal.addEventListener('abort', leave, { once: true })
      this.#begin().then(
        (value) => {
          signal.removeEventListener('abort', leave)
          if (left) return void this.#returnLate(left)
          this.#state = 'taken'
          resolve(value)
        },
        (error: unknown) => {
          signal.removeEventListener('abort', leave)
          reject(toError(error))
        },
      )
    })
  }

  /**
   * Runs the generator to its end: by `next()` after a success, by `throw(error)` after a failure. Does nothing if the loan is over or
   * finishes by itself.
   *
   * @throws PikoError `RESOURCE_FAILED` if the generator throws any error other than the one it was resumed with
   */
  async giveBack(outcome: LoanOutcome): Promise<void> {
    if (this.#state === 'held') this.#free()
    if (this.#state === 'taken') await this.#end(outcome)
  }

  async #begin(): Promise<unknown> {
    try {
      const generator: unknown = this.#lender.resource.acquire(this.#ctx)
      if (!isGenerator(generator)) {
        // If it is a promise, nothing else handles its rejection.
        Promise.resolve(generator).catch(() => {})
        const kind = generator instanceof Promise ? 'a promise' : describe(generator)
        throw new TypeError(
          `acquire returned ${kind}; expected an async generator: async *acquire(ctx) { … yield value … }`,
        )
      }
      this.#generator = generator
      const first = await generator.next()
      if (first.done) throw new TypeError('acquire ended without a yield; expected exactly one')
      return first.value
    } catch (error) {
      this.#free()
      throw this.#failed('could not be acquired', error)
    }
  }

  async #returnLate(reason: Error): Promise<void> {
    try {
      await this.#end({ ok: false, error: reason })
    } catch (error) {
      this.#ctx.log.error({ err: error, resource: this.#lender.name }, messageOf(error))
    }
  }

  async #end(outcome: LoanOutcome): Promise<void> {
    this.#state = 'over'
    const generator = this.#generator as AsyncGenerator<unknown, void, void>
    try {
      const last = await (outcome.ok ? generator.next() : generator.throw(outcome.error))
      if (!last.done) {
        await generator.return()
        throw new TypeError('acquire yielded a second time; expected exactly one yield')
      }
    } catch (error) {
      if (outcome.ok || error !== outcome.error) throw this.#failed('failed when it was returned', error)
    } finally {
      this.#free()
    }
  }

  #free(): void {
    this.#state = 'over'
    this.#lender.semaphore.release()
  }

  #failed(what: string, thrown: unknown): PikoError {
    const { name } = this.#lender
    const cause = toError(thrown)
    return new PikoError('RESOURCE_FAILED', `resource ${name} ${what}: ${messageOf(cause)}`, {
      cause,
      details: { resource: name },
    })
  }
}

function isGenerator(value: unknown): value is AsyncGenerator<unknown, void, void> {
  if (typeof value !== 'object' || value === null) return false
  const { next, throw: raise, return: end } = value as Partial<Record<'next' | 'throw' | 'return', unknown>>
  return typeof next === 'function' && typeof raise === 'function' && typeof end === 'function'
}
