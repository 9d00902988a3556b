import { isObject, propertyOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import type { CacheDefinition, CacheReach } from '../job/cached-value.ts'
import {
  expecting,
  type OptionCheck,
  type OptionChecks,
  oneOf,
  placed,
  problemsText,
  readOptions,
  wholeNumber,
} from '../options.ts'
import { type Duration, durationMs, MAX_STORED_MS } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import { systemClock } from '../clock.ts'
import { type CacheCodec, json } from './codec.ts'
import { LayeredCache } from './layered-cache.ts'
import { isLevelSource, type LevelSource } from './levels.ts'

/** Options for the part of a cache in this process. */
export interface CacheL1 {
  /** The maximum number of values. Default 10,000. */
  readonly max?: number
  /** The approximate maximum memory of the encoded values and their keys, in bytes. Default 64,000,000. */
  readonly maxBytes?: number
  /** How long a value is used before the shared level is asked again. Has no effect without a shared level. Default `'30s'`. */
  readonly ttl?: Duration
}

export interface CacheSpec<V> {
  /** The cache's name, the same on all nodes: 1 to 64 letters, digits or any of `_ - . : /`. */
  readonly name: string
  /** How long a value is fresh; at most ten years. */
  readonly ttl: Duration
  /** How long a stale value is still returned while one load refreshes it. This time begins when `ttl` ends. Default: not at all. */
  readonly stale?: Duration
  /** How long the error of a failed load is returned in this process before the next load. Default: not at all. */
  readonly negative?: Duration
  /** The part of the cache in this process; false: none. Default: a part with the defaults of `CacheL1`. */
  readonly l1?: CacheL1 | false
  /** The level that all nodes share: `store()` or `redis(url)`. Default: none. */
  readonly l2?: LevelSource
  /** Where at most one load of a key runs at a time: in each process, or with `'fleet'` in all processes together. Default `'process'`. */
  readonly flight?: 'process' | 'fleet'
  /** How long one load may take. Default `'5m'`. */
  readonly loadTimeout?: Duration
  /** How values are stored. Default `json()`. */
  readonly codec?: CacheCodec<V>
}

const NAME = /^[\w.:/-]{1,64}$/
const aTtl = aDuration(1, MAX_STORED_MS)
const L1: OptionChecks<CacheL1> = { max: wholeNumber(1, 10_000_000), maxBytes: wholeNumber(1), ttl: aTtl }
const aCodec: OptionCheck = expecting(
  'json(schema), bytes(), or an object with encode and decode',
  (value) => typeof propertyOf(value, 'encode') === 'function' && typeof propertyOf(value, 'decode') === 'function',
)

const CHECKS: OptionChecks<CacheSpec<unknown>> = {
  name: expecting(
    '1 to 64 letters, digits or any of _ - . : /',
    (value) => typeof value === 'string' && NAME.test(value),
  ),
  ttl: aTtl,
  stale: aDuration(0, MAX_STORED_MS),
  negative: aDuration(0, MAX_STORED_MS),
  l1: (value) => {
    if (value === false) return undefined
    const { problems } = readOptions<CacheL1>(value, L1, "{ max: 10_000, ttl: '30s' }")
    return problems.length === 0 ? undefined : `has problems: ${problems.join('; ')}`
  },
  l2: expecting('store() or redis(url) of piko/cache', isLevelSource),
  flight: oneOf('process', 'fleet'),
  loadTimeout: aDuration(1),
  codec: aCodec,
}
const EXAMPLE = "{ name: 'rates', ttl: '1h' }"
const DEFAULT_L1: Required<CacheL1> = { max: 10_000, maxBytes: 64_000_000, ttl: '30s' }

/**
 * Defines a cache. `app.cache(definition)` and `ctx.cache(definition)` return it.
 *
 * @throws PikoError `CACHE_INVALID` naming every problem
 * @example
 * const rates = defineCache({ name: 'rates', ttl: '1h', stale: '10m', l2: store(), codec: json(Rate) })
 * const rate = await app.cache(rates).fetch('EUR', (signal) => load('EUR', signal))
 */
export function defineCache<V = unknown>(spec: CacheSpec<V>): CacheDefinition<V> {
  const { options, problems } = readOptions<CacheSpec<V>>(spec, CHECKS, EXAMPLE, ['name', 'ttl'])
  const all = [...problems, ...contradictions(options)]
  if (all.length > 0)
    throw new PikoError('CACHE_INVALID', problemsText('defineCache', all), { details: { problems: all } })
  const {
    name,
    ttl,
    stale = '0s',
    negative = '0s',
    l1,
    l2,
    flight = 'process',
    loadTimeout = '5m',
  } = options as CacheSpec<V>
  const codec = options.codec ?? json<V>()
  const here = { ...DEFAULT_L1, ...(isObject(l1) ? l1 : {}) }
  return Object.freeze({
    name,
    open: (reach?: CacheReach) =>
      new LayeredCache<V>({
        ...{ name, codec, isFleet: flight === 'fleet' },
        ...{ ttlMs: durationMs(ttl), staleMs: durationMs(stale), negativeMs: durationMs(negative) },
        loadTimeoutMs: durationMs(loadTimeout),
        l1: { max: here.max, maxBytes: l1 === false ? 0 : here.maxBytes, ttlMs: durationMs(here.ttl) },
        level: l2?.(reach),
        clock: reach?.clock ?? systemClock,
        ...(reach && { observer: reach }),
      }),
  })
}

/** Returns the problems of options that require another option. */
function contradictions<V>({ l1, l2, flight }: Partial<CacheSpec<V>>): string[] {
  const problems: string[] = []
  if (flight === 'fleet' && !l2)
    problems.push(placed('flight', "is 'fleet', which needs l2: the other nodes find the value there"))
  if (l1 === false && !l2) problems.push(placed('l1', 'is false, and there is no l2, so nothing would be kept'))
  return problems
}
