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
  /** Tells the other nodes that keys of a cache have changed. Without keys, any key may have changed. */
  readonly tell: (cache: string, keys: readonly string[] | undefined) => void
}

/** How long changes are collected before the other nodes are notified. */
const COLLECT_MS = 5
/** If more keys of a cache have changed than this, the other nodes drop all of its keys. */
const MAX_KEYS = 1_000

/** The caches of this process. */
export class Caches extends Service {
  readonly #parts: CachesParts
  readonly #opened = new Map<CacheDefinition<unknown>, Cache<unknown>>()

  /** The changed keys of each cache. Undefined: any key may have changed. */
  readonly #changes = new Map<string, Set<string> | undefined>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: CachesParts) {
    super({ name: 'caches' })
    this.#parts = parts
  }

  /** Returns the cache of a definition. The first call opens it. */
  get<V>(definition: CacheDefinition<V>): Cache<V> {
    const known = this.#opened.get(definition)
    if (known) return known as Cache<V>
    const { store, clock, events } = this.#parts
    const cache = definition.open({
      ...{ store, clock },
      degraded: (name, error) => events.emit('cache.degraded', { cache: name, error }),
      recovered: (name, outageMs) => events.emit('cache.recovered', { cache: name, outageMs }),
      changed: (name, key) => this.#changed(name, key),
    })
    this.#opened.set(definition, cache)
    return cache
  }

  /** Returns the cache for a run. The run's signal ends the waits of its calls. */
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
    // Only `fetch` can wait for a long time, so only `fetch` gets the run's signal.
    return new Proxy(cache, {
      get: (target, name) => {
        if (name === 'fetch') return fetch
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? (member.bind(target) as unknown) : member
      },
    })
  }

  /** Removes from the memory of a cache the keys that another node has changed. Undefined: any key may have changed. */
  told(name: string, keys: readonly string[] | undefined): void {
    for (const cache of this.opened) if (cache.name === name) cache.forget(keys)
  }

  /** The caches that are already open. */
  get opened(): readonly Cache<unknown>[] {
    return [...this.#opened.values()]
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') return
    this.#tellNow()
    await Promise.all(this.opened.map((cache) => cache.close()))
  }

  #changed(name: string, key: string | undefined): void {
    const known = this.#changes.get(name)
    const keys = this.#changes.has(name) ? known : new Set<string>()
    if (key === undefined || (keys && keys.size >= MAX_KEYS)) this.#changes.set(name, undefined)
    else if (keys) this.#changes.set(name, keys.add(key))
    this.#timer ??= setTimeout(() => this.#tellNow(), COLLECT_MS).unref()
  }

  #tellNow(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const [name, keys] of this.#changes) this.#parts.tell(name, keys && [...keys])
    this.#changes.clear()
  }
}
