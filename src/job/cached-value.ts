import type { Clock } from '../clock.ts'
import type { Duration } from '../time/duration.ts'

/** Loads the value of a key. @param signal aborts when no caller is waiting for the value any more, or when the app stops */
export type CacheLoader<V> = (signal: AbortSignal) => V | Promise<V>

export interface CacheFetch {
  /** How long the loaded value is fresh. Default: the `ttl` of the cache. */
  readonly ttl?: Duration
  /** Aborting this signal ends this caller's wait. In a handler, the run's own signal also ends it. */
  readonly signal?: AbortSignal
}

export interface CacheSet {
  /** How long the value is fresh. Default: the `ttl` of the cache. */
  readonly ttl?: Duration
  /** Writes only if the key has no value. */
  readonly ifAbsent?: boolean
  /** Writes only if the value has this version. */
  readonly ifVersion?: number
}

export interface CacheIncrement {
  /** How long a new value is fresh. An existing value keeps its expiry. Default: the `ttl` of the cache. */
  readonly ttl?: Duration
}

export interface CacheClear {
  /** Deletes only keys that begin with this string. Default: all keys. */
  readonly prefix?: string
}

/** A value with its version and its remaining time. */
export interface CacheEntry<V> {
  readonly value: V
  /** The version of the value, which changes with each write. */
  readonly version: number
  readonly isStale: boolean
  /** For how many milliseconds the value is still kept. */
  readonly leftMs: number
}

/** The figures of a cache in this process since it was opened. */
export interface CacheStats {
  readonly name: string
  /** How many values came from this process. */
  readonly l1Hits: number
  /** How many values came from the shared level. */
  readonly l2Hits: number
  /** How often `fetch` returned a stale value. The other calls count stale values as hits. */
  readonly stale: number
  /** The number of requests that found no value. */
  readonly misses: number
  readonly loads: number
  /** The number of loads that failed. */
  readonly failures: number
  /** The number of values that were too large to keep, or that the codec refused to read. */
  readonly refused: number
  /** How many values are in this process. */
  readonly l1Size: number
  /** The total size of the values in this process, in bytes. */
  readonly l1Bytes: number
  /** Whether the shared level does not answer. */
  readonly isDegraded: boolean
}

/**
 * A cache in one app. It stores values by key in this process, and optionally in a level that all nodes share.
 *
 * Keys have 1 to 512 characters; values have up to 1 MB, encoded. All calls reject with `CACHE_INVALID` for other keys and values, and with
 * `USAGE` for wrong options.
 */
export interface Cache<V> {
  readonly name: string
  /**
   * Returns the value of a key. If there is none, `load` creates it. Concurrent calls share one load. A stale value is returned
   * immediately, while one load refreshes it.
   *
   * @throws the error of `load`, which is not kept unless the cache has `negative`; the reason of the signal
   */
  fetch(key: string, load: CacheLoader<V>, options?: CacheFetch): Promise<V>
  /** Returns the value, fresh or stale; undefined if there is none. */
  get(key: string): Promise<V | undefined>
  /** Returns the value with its version; undefined if there is none. */
  entry(key: string): Promise<CacheEntry<V> | undefined>
  /** Returns the existing values of many keys, in the order of the keys. */
  getMany(keys: readonly string[]): Promise<Map<string, V>>
  /**
   * Stores a value. @returns the new version; undefined if the condition did not hold
   * @throws PikoError `CACHE_UNAVAILABLE` if the shared level does not answer
   */
  set(key: string, value: V, options?: CacheSet): Promise<number | undefined>
  /** Deletes a value. @returns whether there was one @throws PikoError `CACHE_UNAVAILABLE` */
  delete(key: string): Promise<boolean>
  /**
   * Adds to a number. Concurrent additions are not lost. A key without a value begins at 0.
   *
   * @throws PikoError `CACHE_UNAVAILABLE`
   */
  increment(key: string, by?: number, options?: CacheIncrement): Promise<number>
  /**
   * Sets how long a value is fresh, counted from now.
   *
   * @returns false if there is no value
   * @throws PikoError `CACHE_UNAVAILABLE`
   */
  expire(key: string, ttl: Duration): Promise<boolean>
  /** Deletes values. @returns how many were deleted @throws PikoError `CACHE_UNAVAILABLE` */
  clear(options?: CacheClear): Promise<number>
  stats(): CacheStats
  /** Removes keys from this process only, because the shared level has changed. Undefined: all keys. */
  forget(keys: readonly string[] | undefined): void
  /** Aborts loads and closes connections. An app closes its caches when it stops. */
  close(): Promise<void>
}

/** An entry of a shared level. Its times are the milliseconds that were left when it was read, by the level's clock. */
export interface LevelEntry {
  /** The encoded value. Undefined if the key was deleted, or if a node is loading its value. */
  readonly bytes: Uint8Array | undefined
  readonly version: number
  /** For how many milliseconds the value is still fresh; 0 or less: it is stale. */
  readonly freshMs: number
  /** For how many milliseconds the value is still kept; 0 or less: it has expired. */
  readonly leftMs: number
}

/** The version that a write replaces. `'none'` if the level has no entry. */
export type SeenVersion = number | 'none'

/** A level of a cache that all nodes share. The cache's name is the `space` of its entries. */
export interface CacheLevel {
  /** Reads the entries of these keys. @param step called after each step of a long call; if it throws, the call ends with that error */
  read(space: string, keys: readonly string[], step?: () => void): Promise<ReadonlyMap<string, LevelEntry>>
  /** Reads only the versions of these keys. */
  versions(space: string, keys: readonly string[]): Promise<ReadonlyMap<string, number>>
  /**
   * Writes an entry, and ends a claim on its key.
   *
   * @param seen the version to replace; undefined: any version
   * @returns whether it was written
   */
  write(space: string, key: string, entry: LevelEntry, seen?: SeenVersion): Promise<boolean>
  /**
   * Changes the times of an entry if it still has this version.
   *
   * @returns false if the entry has another version
   */
  touch(space: string, key: string, entry: Omit<LevelEntry, 'bytes'>): Promise<boolean>
  /**
   * Claims the load of a key for some time, or extends the owner's own claim.
   *
   * @returns false if another owner has the claim
   */
  claim(space: string, key: string, owner: string, forMs: number): Promise<boolean>
  release(space: string, key: string, owner: string): Promise<void>
  /**
   * Deletes the entries whose keys begin with `prefix`, in steps.
   *
   * @returns how many were deleted
   */
  clear(space: string, prefix: string, step?: () => void): Promise<number>
  close(): Promise<void>
}

/** What a cache needs from an app. */
export interface CacheReach {
  readonly clock: Clock
  /** The shared level in the app's database. */
  readonly store: CacheLevel
  degraded(cache: string, error: Error): void
  recovered(cache: string, outageMs: number): void
  /** Called when a key of a cache with a shared level has changed; undefined: many keys have changed. */
  changed?(cache: string, key: string | undefined): void
}

/** The definition of a cache; see `defineCache` of `piko/cache`. */
export interface CacheDefinition<V> {
  readonly name: string
  /** Opens the cache without an app, for a test or a script; `l2: store()` then has no effect. An app opens it with its own database. */
  open(reach?: CacheReach): Cache<V>
}
