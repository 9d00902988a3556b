import { createHash } from 'node:crypto'
import { Writable } from 'node:stream'
import type { Dispatcher, interceptors } from 'undici'
import { systemClock } from '../clock.ts'
import { decodeEntry, encodeEntry } from './cache-entry.ts'

/** Stores responses: a cache of `piko/cache` for bytes, or any object with the same methods. */
export interface ResponseStore {
  get(key: string): Promise<Uint8Array | undefined>
  /** The store may refuse a value, for example because it is too large. */
  set(key: string, value: Uint8Array, options: { readonly ttl: `${number}ms` }): Promise<unknown>
  delete(key: string): Promise<unknown>
}

type CacheStore = NonNullable<NonNullable<Parameters<typeof interceptors.cache>[0]>['store']>
type CacheKey = Parameters<CacheStore['get']>[0]
type CacheValue = Parameters<CacheStore['createWriteStream']>[1]
type GetResult = NonNullable<Awaited<ReturnType<CacheStore['get']>>>

/** Responses that are being stored now, by store and name, so that the next request of this process finds them. */
const storing = new WeakMap<ResponseStore, Map<string, Promise<unknown>>>()

/**
 * Waits until the responses that are being stored now are in the store. The error of a failed write is not thrown: only the next request is
 * slower.
 */
export async function storedIn(store: ResponseStore): Promise<void> {
  const writes = storing.get(store)
  if (writes) await Promise.all(writes.values())
}

/**
 * Serves one request from a store, or stores its response, as far as HTTP allows this (RFC 9111).
 *
 * @param maxBytes larger bodies are not kept
 */
export class HttpCache {
  readonly #store: ResponseStore
  readonly #maxBytes: number
  #isHit = false

  constructor(store: ResponseStore, maxBytes: number) {
    this.#store = store
    this.#maxBytes = maxBytes
  }

  /** Whether the response came from the store. */
  get isHit(): boolean {
    return this.#isHit
  }

  /** Returns a dispatcher that first checks this cache, and then uses the given dispatcher. */
  async before(dispatcher: Dispatcher): Promise<Dispatcher> {
    const undici = await import('undici')
    return dispatcher.compose(undici.interceptors.cache({ store: this.#asUndici(), methods: ['GET', 'HEAD'] }))
  }

  #asUndici(): CacheStore {
    return {
      get: (key) => this.#get(key),
      createWriteStream: (key, value) => this.#write(key, value),
      delete: async (key) => void (await this.#store.delete(nameOf(key))),
    }
  }

  async #get(key: CacheKey): Promise<GetResult | undefined> {
    const name = nameOf(key)
    await storing.get(this.#store)?.get(name)
    const bytes = await this.#store.get(name).catch(() => undefined)
    const entry = bytes && decodeEntry<CacheValue>(bytes)
    if (!entry || entry.head.deleteAt < systemClock.now() || !isSameVariant(entry.head, key)) return undefined
    this.#isHit = true
    return {
      ...entry.head,
      cacheControlDirectives: entry.head.cacheControlDirectives ?? {},
      body: Buffer.from(entry.body),
    }
  }

  #write(key: CacheKey, value: CacheValue): Writable {
    this.#isHit = false
    const pieces: Buffer[] = []
    let bytes = 0
    const keep = async (): Promise<void> => {
      const ttl = `${Math.max(1, Math.ceil(value.deleteAt - systemClock.now()))}ms` as const
      if (bytes <= this.#maxBytes)
        await this.#store.set(nameOf(key), encodeEntry(value, Buffer.concat(pieces)), { ttl })
    }
    return new Writable({
      write: (piece: Buffer, _encoding, done) => {
        bytes += piece.byteLength
        if (bytes <= this.#maxBytes) pieces.push(piece)
        done()
      },
      // If the store fails or refuses the value, only the next request is slower.
      final: (done) =>
        void this.#noted(nameOf(key), keep()).then(
          () => done(),
          () => done(),
        ),
    })
  }

  /** Lets the next request wait for a write. */
  async #noted(name: string, write: Promise<void>): Promise<void> {
    let writes = storing.get(this.#store)
    if (!writes) storing.set(this.#store, (writes = new Map<string, Promise<unknown>>()))
    const ended = write.catch(() => {})
    writes.set(name, ended)
    await ended
    if (writes.get(name) === ended) writes.delete(name)
  }
}

function nameOf({ origin, method, path }: Pick<CacheKey, 'origin' | 'method' | 'path'>): string {
  return createHash('sha256').update(`http ${method} ${origin}${path}`).digest('hex')
}

function isSameVariant({ vary }: CacheValue, { headers = {} }: CacheKey): boolean {
  return Object.entries(vary ?? {}).every(([name, value]) => String(headers[name] ?? '') === String(value ?? ''))
}
