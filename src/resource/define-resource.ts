import { propertyOf } from '../errors-read.ts'
import { aFunction, aText, expecting, type OptionChecks, readOptions } from '../options.ts'
import type { Duration } from '../time/duration.ts'
import {
  type NoResources,
  type OpenContext,
  type ProcessContext,
  Resource,
  type ResourceClass,
  type ResourceContext,
  type ResourceMap,
  type ResourceScope,
} from './resource.ts'
import { OPTION_CHECKS, resourceInvalid } from './resource-options.ts'

/** The options that all forms of a definition have in common. */
export interface ResourceSettings<R extends ResourceMap> {
  /** The name for messages and metrics. */
  readonly name: string
  /** How many values may be borrowed at the same time. Further runs wait in a queue, first in, first out. Default: no limit. */
  readonly size?: number
  /** How often `check` is called. Default `'30s'`. */
  readonly checkEvery?: Duration
  /** How long an opened value is used before a new one replaces it. Default: no limit. */
  readonly maxLifetime?: Duration
  /** How long a run waits for its value, including the queue and `acquire`. Default: until the run's own time limit. */
  readonly acquireTimeout?: Duration
  /** The resources and services that this one needs, by name. `acquire` receives them as `ctx.resources`. */
  readonly resources?: R
}

/** The functions for the opened value. */
export interface OpenedParts<O> {
  /**
   * Checks whether the opened value can be used. If this throws, returns `false` or takes longer than five seconds, another value is
   * opened.
   */
  check?(opened: O): unknown
  /** Called once when every borrower has returned its value, unless `open` failed. Its result is awaited. */
  close?(opened: O): unknown
}

/**
 * A resource without a class.
 *
 * @typeParam T what a run borrows
 * @typeParam O what `open` returns and the other functions receive: a pool, a client
 * @typeParam R the resources that it needs
 */
export interface ResourceDefinition<T, O = undefined, R extends ResourceMap = NoResources>
  extends ResourceSettings<R>, OpenedParts<O> {
  /** Each attempt, or each run, borrows its own value. Default `'attempt'`. See {@link ResourceScope}. */
  readonly scope?: Exclude<ResourceScope, 'process'>
  /** Called before the first use, and each time a new value is needed. If the first call fails, the next use calls it again. */
  open?(ctx: OpenContext): Promise<O> | O
  /** Called once for each borrowed value, which it yields exactly once. See {@link Resource}. */
  acquire(ctx: ResourceContext<R>, opened: O): AsyncGenerator<T, void, void>
}

/** A resource with a single value that all runs share; `acquire` yields it. */
export interface SharedDefinition<T, O = undefined, R extends ResourceMap = NoResources>
  extends ResourceSettings<R>, OpenedParts<O> {
  readonly scope: 'process'
  /** Called before the first use, and each time a new value is needed. If the first call fails, the next use calls it again. */
  open?(ctx: OpenContext): Promise<O> | O
  /** Called once for each opened value. It yields the value that all runs borrow, and continues after `yield` before `close` is called. */
  acquire(ctx: ProcessContext<R>, opened: O): AsyncGenerator<T, void, void>
}

/** A resource whose opened value itself is shared by all runs. */
export interface OpenedDefinition<T> extends ResourceSettings<NoResources>, OpenedParts<T> {
  readonly scope: 'process'
  /** Called before the first use, and each time a new value is needed. If the first call fails, the next use calls it again. */
  open(ctx: OpenContext): Promise<T> | T
  readonly acquire?: undefined
}

/**
 * Creates a {@link Resource} class from functions. All types are inferred.
 *
 * @throws PikoError `RESOURCE_INVALID` naming every unknown or unusable option
 * @example
 * const Warehouse = defineResource({
 *   name: 'warehouse',
 *   size: 50,
 *   open: async () => createPool(dsn),
 *   acquire: async function* (ctx, pool) {
 *     const connection = await pool.getConnection()
 *     try { yield connection } finally { connection.release() }
 *   },
 *   check: (pool) => pool.query('select 1'),
 *   close: (pool) => pool.end(),
 * })
 */
export function defineResource<T>(definition: OpenedDefinition<T>): ResourceClass<T>
export function defineResource<T, O = undefined, const R extends ResourceMap = NoResources>(
  definition: SharedDefinition<T, O, R>,
): ResourceClass<T>
export function defineResource<T, O = undefined, const R extends ResourceMap = NoResources>(
  definition: ResourceDefinition<T, O, R>,
): ResourceClass<T>
export function defineResource(definition: unknown): ResourceClass {
  const { name, open, acquire, check, close, ...settings } = checked(definition)

  class DefinedResource extends Resource<unknown> {
    static override readonly size = settings.size ?? Resource.size
    static override readonly scope = settings.scope ?? Resource.scope
    static override readonly checkEvery = settings.checkEvery ?? Resource.checkEvery
    static override readonly maxLifetime = settings.maxLifetime
    static override readonly acquireTimeout = settings.acquireTimeout
    static override readonly resources = settings.resources ?? Resource.resources
    #opened: unknown

    constructor() {
      super()
      if (check) this.check = () => check.call(definition, this.#opened)
      if (close) this.close = () => close.call(definition, this.#opened)
    }

    override async open(ctx: OpenContext): Promise<void> {
      this.#opened = await open?.call(definition, ctx)
    }

    override acquire(ctx: ResourceContext): AsyncGenerator<unknown, void, void> {
      return acquire ? acquire.call(definition, ctx, this.#opened) : this.#share()
    }

    async *#share(): AsyncGenerator<unknown, void, void> {
      yield this.#opened
    }
  }
  Object.defineProperty(DefinedResource, 'name', { value: name })
  return DefinedResource
}

/** A definition of any form, after its properties were read once. */
interface AnyDefinition extends ResourceSettings<ResourceMap> {
  readonly scope?: ResourceScope
  readonly open?: (ctx: OpenContext) => unknown
  readonly acquire?: (ctx: ResourceContext, opened: unknown) => AsyncGenerator<unknown, void, void>
  readonly check?: (opened: unknown) => unknown
  readonly close?: (opened: unknown) => unknown
}

const CHECKS: OptionChecks<AnyDefinition> = {
  name: aText,
  ...OPTION_CHECKS,
  open: aFunction,
  acquire: expecting('an async generator function', (value) => typeof value === 'function'),
  check: aFunction,
  close: aFunction,
}

const EXAMPLE = "{ name: 'warehouse', acquire: async function* () { … } }"

function checked(definition: unknown): AnyDefinition {
  const isShared = propertyOf(definition, 'scope') === 'process' && propertyOf(definition, 'acquire') === undefined
  const required = ['name', isShared ? 'open' : 'acquire'] as const
  const { options, problems } = readOptions<AnyDefinition>(definition, CHECKS, EXAMPLE, required)
  const { name } = options
  if (name === undefined || problems.length > 0) throw resourceInvalid(propertyOf(definition, 'name'), problems)
  return { ...options, name }
}
