import { createHash } from 'node:crypto'
import { decodeEntry, encodeEntry } from '../../http-client/cache-entry.ts'
import type { ResponseStore } from '../../http-client/http-cache.ts'
import { durationMs } from '../../time/duration.ts'
import type { Answer } from '../downloader.ts'
import type { ReadyRequest } from '../request/request.ts'
import type { CacheSpec } from './cache-spec.ts'
import { FileStore } from './file-store.ts'

const DEFAULT_FOLDER = '.piko/http-cache'
const DEFAULT_TTL = '1d'

/** What a crawl has loaded. */
export class Answers {
  readonly #spec: CacheSpec
  #store: ResponseStore | undefined

  constructor(spec: CacheSpec) {
    this.#spec = spec
    this.#store = spec.store
  }

  /** Opened with the first request that needs it. */
  get store(): ResponseStore {
    this.#store ??= new FileStore(this.#spec.folder ?? DEFAULT_FOLDER)
    return this.#store
  }

  /** How a request uses the cache. */
  modeOf({ cache }: ReadyRequest): CacheSpec['mode'] {
    return cache?.mode ?? this.#spec.mode
  }

  /** The kept answer of a request. A store that is away has none. */
  async get(request: ReadyRequest): Promise<Answer | undefined> {
    const bytes = await this.store.get(keyOf(request)).catch(() => undefined)
    const entry = bytes && decodeEntry<Omit<Answer, 'bytes'>>(bytes)
    return entry && { ...entry.head, bytes: entry.body, ms: 0, isCached: true }
  }

  /** Keeps an answer. */
  async set(request: ReadyRequest, { bytes, ...head }: Answer): Promise<void> {
    const ttl = `${request.cache?.ttlMs ?? durationMs(this.#spec.ttl ?? DEFAULT_TTL)}ms` as const
    // A store that is away, or refuses the value, costs only the next request.
    await this.store.set(keyOf(request), encodeEntry(head, bytes), { ttl }).catch(() => {})
  }
}

function keyOf({ method, url, body, session, headers, downloader }: ReadyRequest): string {
  const parts = JSON.stringify([method, url, body, session, headers, downloader])
  return createHash('sha256').update(`force ${parts}`).digest('hex')
}
