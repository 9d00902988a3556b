import { readArguments } from './arguments.ts'
import { describe, PikoError } from '../errors.ts'
import { isObject, propertyOf } from '../errors-read.ts'
import type { Cache, CacheClear, CacheDefinition, CacheStats } from '../job/cached-value.ts'
import { aText, expecting, wholeNumber } from '../options.ts'
import type { CacheFigures } from '../store/cache/cache-store.ts'
import { Callable } from './callable.ts'
import type { Reach } from './reach.ts'

export interface CacheFilter {
  /** The maximum number of caches. Default 100. */
  readonly limit?: number
  /** Selects only caches whose names come after this one, such as the last name of the previous page. */
  readonly after?: string
}

/** The figures of one cache. */
export interface CacheStatus {
  /** The entries in the database. */
  readonly stored: CacheFigures
  /** The figures of this process; undefined if it has not opened the cache. */
  readonly here: CacheStats | undefined
}

/** Returns the cache of a definition; see {@link Caches}. */
export type CacheCall = <V>(definition: CacheDefinition<V>) => Cache<V>

type Reached = () => Pick<Reach, 'store' | 'caches'>

const aName = expecting('the name of a cache', (value) => typeof value === 'string' && /^[\w.:/-]{1,64}$/.test(value))

/**
 * `app.cache`: caches. Called as a function with a definition from `defineCache`, it returns the cache. Its methods work on the entries in
 * the database, including those of caches that this process does not define.
 */
export class Caches extends Callable {
  readonly #reach: Reached

  constructor(reach: Reached) {
    super(<V>(definition: CacheDefinition<V>) => reach().caches.get(asDefinition(definition)))
    this.#reach = reach
  }

  /** Lists the caches with entries in the database, by name. */
  async list(filter: CacheFilter = {}): Promise<CacheFigures[]> {
    const form = { call: 'app.cache.list', checks: { limit: wholeNumber(0), after: aText }, example: '{ limit: 10 }' }
    const { limit = 100, after } = readArguments<CacheFilter>(form, {}, filter)
    const { store } = this.#reach()
    const found: CacheFigures[] = []
    for (const name of await store.caches.spaces(limit, after)) found.push(await store.caches.figures(name))
    return found
  }

  /** Returns the figures of one cache. */
  async stats(name: string): Promise<CacheStatus> {
    readArguments({ call: 'app.cache.stats', checks: {}, example: '{}' }, { name: [name, aName] }, {})
    const { store, caches } = this.#reach()
    const here = caches.opened.find((cache) => cache.name === name)?.stats()
    return { stored: await store.caches.figures(name), here }
  }

  /**
   * Deletes the entries of a cache in the database and in this process. Other processes may still return their own entries until the `ttl`
   * of their `l1` has expired.
   *
   * @returns how many were deleted
   */
  async clear(name: string, options: CacheClear = {}): Promise<number> {
    const form = { call: 'app.cache.clear', checks: { prefix: aText }, example: "{ prefix: 'eu:' }" }
    const { prefix = '' } = readArguments<CacheClear>(form, { name: [name, aName] }, options)
    const { store, caches } = this.#reach()
    const opened = caches.opened.filter((cache) => cache.name === name)
    const counts = await Promise.all(opened.map((cache) => cache.clear(prefix === '' ? {} : { prefix })))
    return Math.max(0, ...counts) + (await store.caches.clear(name, prefix))
  }
}

/** Returns the definition of a cache. @throws PikoError `USAGE` for any other value */
function asDefinition<V>(definition: CacheDefinition<V>): CacheDefinition<V> {
  if (isObject(definition) && typeof propertyOf(definition, 'open') === 'function') return definition
  throw new PikoError('USAGE', `the cache is ${describe(definition)}; expected what defineCache returned`)
}
