import { wrongCall } from '../call-options.ts'
import { readCall } from '../calls/call-checks.ts'
import { describe } from '../errors.ts'
import { isObject, propertyOf, safely } from '../errors-read.ts'
import type { CacheLevel, CacheReach } from '../job/cached-value.ts'
import { expecting, type OptionChecks } from '../options.ts'
import { RedisLevel } from './redis/redis-level.ts'

/** Opens the shared level of a cache. */
export type LevelSource = (reach: CacheReach | undefined) => CacheLevel | undefined

export interface RedisOptions {
  /**
   * Separates the caches of installations that use the same server: 1 to 64 letters, digits or any of `_ - .`. All nodes of an installation
   * must use the same one. Default: none.
   */
  readonly namespace?: string
}

const REDIS = {
  call: 'redis',
  checks: {
    namespace: expecting(
      '1 to 64 letters, digits or any of _ - .',
      (value) => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value),
    ),
  } satisfies OptionChecks<RedisOptions>,
  example: "{ namespace: 'eu' }",
}

const sources = new WeakSet<LevelSource>()

/** Whether the value was created by `store()` or `redis()`. */
export function isLevelSource(value: unknown): value is LevelSource {
  return typeof value === 'function' && sources.has(value as LevelSource)
}

/** Puts the shared level of a cache into the app's own database, in the table `piko_cache`. */
export function store(): LevelSource {
  return known((reach) => reach?.store)
}

/**
 * Puts the shared level of a cache into a Redis server. Needs the package `@redis/client`.
 *
 * @param source a URL such as `redis://user:password@host:6379`, or the options of `createClient`
 * @throws PikoError `USAGE`
 */
export function redis(source: string | Readonly<Record<string, unknown>>, options: RedisOptions = {}): LevelSource {
  const { namespace = '' } = readCall<RedisOptions>(REDIS, {}, options)
  const url = typeof source === 'string' ? safely(() => new URL(source), undefined) : undefined
  const isClient = typeof propertyOf(source, 'sendCommand') === 'function'
  if (url ? !/^rediss?:$/.test(url.protocol) : !isObject(source) || isClient) {
    // The text is not shown, because it may be a password that the user passed by mistake.
    const what = typeof source === 'string' ? 'the URL is not a Redis URL' : `the server is ${describe(source)}`
    throw wrongCall('redis', [
      `${what}; expected redis://user:password@host:6379, rediss://…, or options of createClient`,
    ])
  }
  return known(() => new RedisLevel(source, namespace))
}

function known(source: LevelSource): LevelSource {
  sources.add(source)
  return source
}
