import type { Clock } from '../../clock.ts'
import type { Events } from '../../events.ts'
import type { Cache, CacheDefinition, CacheFetch, CacheLevel, CacheLoader } from '../../job/cached-value.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { Service } from '../../service/service.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'

export interface CachesParts {
  readonly store: CacheLevel
  readonly clock: Clock
  readonly events: Events
}

/** The caches of this process. */
export class Caches extends Service {
  readonly #parts: CachesParts
  readonly #opened = new Map<CacheDefinition<unknown>, Cache<unknown>>()

  constructor(parts: CachesParts) {
    super({ name: 'caches' })
    this.#parts = parts
  }

  /** The cache of a definition, which is opened at its first use. */
  get<V>(definition: CacheDefinition<V>): Cache<V> {
    const known = this.#opened.get(definition)
    if (known) return known as Cache<V>
    const { store, clock, events } = this.#parts
    const cache = definition.open({
      ...{ store, clock },
      degraded: (name, error) => events.emit('cache.degraded', { cache: name, error }),
      recovered: (name, outageMs) => events.emit('cache.recovered', { cache: name, outageMs }),
    })
    this.#opened.set(definition, cache)
    return cache
  }

  /** The cache for a run, whose waits end with its signal. */
  forRun<V>(definition: CacheDefinition<V>, run: AbortSignal): Cache<V> {
    const cache = this.get(definition)
    const fetch = async (key: string, load: CacheLoader<V>, options: CacheFetch = {}): Promise<V> => {
      if (!options.signal) return cache.fetch(key, load, { ...options, signal: run })
      const linked = new LinkedSignal(run, options.signal)
      try {
        return await cache.fetch(key, load, { ...options, signal: linked.signal })
      } finally {
        linked.release()
      }
    }
    // No other call waits long enough to need the run's signal.
    return new Proxy(cache, {
      get: (target, name) => {
        if (name === 'fetch') return fetch
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? (member.bind(target) as unknown) : member
      },
    })
  }

  /** The caches that were opened so far. */
  get opened(): readonly Cache<unknown>[] {
    return [...this.#opened.values()]
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') return
    await Promise.all(this.opened.map((cache) => cache.close()))
  }
}
