export { type CacheL1, type CacheSpec, defineCache } from './define-cache.ts'
export { bytes, type CacheCodec, json } from './codec.ts'
export { type LevelSource, redis, type RedisOptions, store } from './levels.ts'
export type {
  Cache,
  CacheClear,
  CacheDefinition,
  CacheEntry,
  CacheFetch,
  CacheIncrement,
  CacheLoader,
  CacheSet,
  CacheStats,
} from '../job/cached-value.ts'
