import { isWhole, propertyOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { aFunction, aText, expecting, type OptionChecks, problemsText, readOptions } from '../options.ts'
import { Resource, type ResourceClass, type ResourceContext } from './resource.ts'

/**
 * A resource without a class.
 *
 * @typeParam T what a run borrows
 * @typeParam O what `open` returns and the other functions receive: a pool, a client
 */
export interface ResourceDefinition<T, O = undefined> {
  /** For messages and metrics. */
  readonly name: string
  /** At most this many are borrowed at the same time; other runs queue, first in first out. Default: no limit. */
  readonly size?: number
  /** Called once per process before the first use; if it fails, the next use calls it again. */
  open?(): Promise<O> | O
  /** Called once per borrowing run: yields the borrowed value exactly once. See {@link Resource}. */
  acquire(ctx: ResourceContext, opened: O): AsyncGenerator<T, void, void>
  /** Optional readiness check; throws or rejects if the resource can't serve. Its result is awaited and dropped. */
  check?(opened: O): unknown
  /** Called once at stop, after every borrower has returned, unless `open` never succeeded. Its result is awaited. */
  close?(opened: O): unknown
}

const isSize = (size: unknown): boolean => size === Infinity || (isWhole(size) && size >= 1)
const SIZE = 'a whole number from 1, or Infinity'

const CHECKS: OptionChecks<ResourceDefinition<unknown, unknown>> = {
  name: aText,
  size: expecting(SIZE, isSize),
  open: aFunction,
  acquire: expecting('an async generator function', (value) => typeof value === 'function'),
  check: aFunction,
  close: aFunction,
}

const EXAMPLE = "{ name: 'warehouse', acquire: async function* () { … } }"

/**
 * A {@link Resource} class from functions; all types are inferred.
 *
 * @throws PikoError `RESOURCE_FAILED` naming every unknown or unusable option
 * @example
 * const Warehouse = defineResource({
 *   name: 'warehouse',
 *   size: 50,
 *   open: async () => createPool(dsn),
 *   acquire: async function* (ctx, pool) {
 *     const connection = await pool.getConnection()
 *     try { yield connection } finally { connection.release() }
 *   },
 *   close: (pool) => pool.end(),
 * })
 */
export function defineResource<T, O = undefined>(definition: ResourceDefinition<T, O>): ResourceClass<T> {
  const { name, size = Infinity } = checked(definition)

  class DefinedResource extends Resource<T> {
    static override readonly size = size
    #opened: Promise<O> | undefined

    override async *acquire(ctx: ResourceContext): AsyncGenerator<T, void, void> {
      yield* definition.acquire(ctx, await this.#open())
    }

    override async check(): Promise<void> {
      if (definition.check) await definition.check(await this.#open())
    }

    override async close(): Promise<void> {
      if (!this.#opened) return
      const [opened] = await Promise.allSettled([this.#opened])
      if (opened.status === 'fulfilled') await definition.close?.(opened.value)
    }

    #open(): Promise<O> {
      if (this.#opened) return this.#opened
      // Without `open`, O is its default: undefined.
      const opened = (async () => (await definition.open?.()) as O)()
      this.#opened = opened
      opened.catch(() => (this.#opened = undefined))
      return opened
    }
  }
  Object.defineProperty(DefinedResource, 'name', { value: name })
  return DefinedResource
}

function checked<T, O>(definition: ResourceDefinition<T, O>): { readonly name: string; readonly size?: number } {
  const { options, problems } = readOptions(definition, CHECKS, EXAMPLE, ['name', 'acquire'])
  const { name, size } = options
  if (name === undefined || problems.length > 0) throw invalid(propertyOf(definition, 'name'), problems)
  return { name, ...(size !== undefined && { size }) }
}

/** @throws PikoError `RESOURCE_FAILED` */
export function assertSize(name: string, size: unknown): void {
  if (!isSize(size)) throw invalid(name, [`size is ${describe(size)}; expected ${SIZE}`])
}

function invalid(name: unknown, problems: readonly string[]): PikoError {
  const what = problemsText(`resource ${typeof name === 'string' ? name : describe(name)}`, problems)
  return new PikoError('RESOURCE_FAILED', what, { details: { problems } })
}
