import { Piko } from 'piko'
import { defineCache, store } from 'piko/cache'
import { heldRss } from '../harness/held-rss.ts'
import { percentile } from '../harness/percentile.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'

const KEPT = 10_000
const LOOK_EVERY = 10_000
const STALE_ASKS = 1_000
const LOAD_MS = 500

/**
 * A cache that receives many keys and keeps few. Also measures how long callers wait for a stale value while a load of half a second
 * refreshes it.
 */
export default async function valuesCache(config: SystemConfig): Promise<Found> {
  const keys = Number(config['keys'])
  // With V8's defaults, garbage of values that were removed from the cache takes up to 230 MB before V8 collects it.
  const piko = { log_level: 'silent', small_heap: true } as const
  const app = new Piko({ jobs: [], settings: { piko, ...storeSettings(config) } })
  await app.start()
  const bounded = app.cache(defineCache<number>({ name: 'bench-bounded', ttl: '1h', l1: { max: KEPT } }))
  for (let key = 0; key < KEPT; key++) await bounded.fetch(`key ${key}`, () => key)
  const before = await heldRss()
  const heapBefore = process.memoryUsage().heapUsed
  let most = before
  const beganAt = performance.now()
  for (let key = 0; key < keys; key++) {
    await bounded.fetch(`key ${key}`, () => key)
    if (key % LOOK_EVERY === 0) most = Math.max(most, process.memoryUsage.rss())
  }
  const fetchS = keys / ((performance.now() - beganAt) / 1_000)
  await heldRss() // Collects garbage.
  const heapAfter = process.memoryUsage().heapUsed
  const kept = bounded.stats().l1Size
  const stale = await staleWaits(app)
  const about = await aboutPiko(app, config)
  await app.stop()
  return {
    about,
    values: {
      'fetches of new keys': { value: fetchS, unit: 'fetches/s' },
      'values in memory': { value: kept, unit: 'values' },
      'peak RSS, minus the RSS with 10,000 values': { value: (most - before) / 1e6, unit: 'MB' },
      'live heap, minus the live heap with 10,000 values': { value: (heapAfter - heapBefore) / 1e6, unit: 'MB' },
      'stale answer during a load, p50': { value: percentile(stale, 50), unit: 'ms' },
      'stale answer during a load, slowest': { value: Math.max(...stale), unit: 'ms' },
    },
    settings: { keys, kept: KEPT, asks: STALE_ASKS, smallHeap: true },
  }
}

/** How long callers wait for a stale value before the load that refreshes it has ended, in milliseconds. */
async function staleWaits(app: Piko): Promise<number[]> {
  const definition = defineCache<number>({ name: 'bench-stale', ttl: '20ms', stale: '1h', l2: store() })
  const cache = app.cache(definition)
  await cache.set('key', 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  let loads = 0
  let isLoading = false
  const load = async (): Promise<number> => {
    loads += 1
    isLoading = true
    await new Promise((resolve) => setTimeout(resolve, LOAD_MS))
    isLoading = false
    return 2
  }
  await cache.fetch('key', load)
  while (!isLoading) await new Promise((resolve) => setImmediate(resolve))
  const waits: number[] = []
  for (let ask = 0; ask < STALE_ASKS; ask++) {
    const askedAt = performance.now()
    const value = await cache.fetch('key', load)
    waits.push(performance.now() - askedAt)
    if (value !== 1) throw new Error(`the load ended after ${ask} of ${STALE_ASKS} answers`)
  }
  if (loads !== 1) throw new Error(`${loads} loads ran at the same time`)
  return waits
}
