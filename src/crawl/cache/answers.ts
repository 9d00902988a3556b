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

/** Whose answers are kept. */
export interface AnswersOwner {
  /** The id of the crawl's job: another crawl may log in, or send other headers. */
  readonly crawl: string
  /** Whether its requests have sessions. */
  readonly hasSessions: boolean
}

/** A kept answer, and the name of the session that loaded it. */
interface KeptAnswer {
  readonly answer: Answer
  readonly session: string | undefined
}

type Head = Omit<Answer, 'bytes'> & { readonly session?: string }

/** What a crawl has loaded. */
export class Answers {
  readonly #spec: CacheSpec
  readonly #owner: AnswersOwner
  #store: ResponseStore | undefined

  constructor(spec: CacheSpec, owner: AnswersOwner) {
    this.#spec = spec
    this.#owner = owner
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
  async get(request: ReadyRequest): Promise<KeptAnswer | undefined> {
    const bytes = await this.store.get(this.#keyOf(request)).catch(() => undefined)
    const entry = bytes && decodeEntry<Head>(bytes)
    if (!entry) return undefined
    const { session, ...head } = entry.head
    return { answer: { ...head, bytes: entry.body, ms: 0, isCached: true }, session }
  }

  /** Keeps an answer. @param session the name of the one that loaded it */
  async set(request: ReadyRequest, { bytes, ...answer }: Answer, session: string | undefined): Promise<void> {
    const head: Head = { ...answer, ...(session !== undefined && { session }) }
    const ttl = `${request.cache?.ttlMs ?? durationMs(this.#spec.ttl ?? DEFAULT_TTL)}ms` as const
    // A store that is away, or refuses the value, costs only the next request.
    await this.store.set(this.#keyOf(request), encodeEntry(head, bytes), { ttl }).catch(() => {})
  }

  /** Crawls may share a store. What one of them sees with its sessions is not for the others. */
  #keyOf({ method, url, body, session, headers, downloader }: ReadyRequest): string {
    const { crawl, hasSessions } = this.#owner
    // Without a name, any session of the pool may have loaded it.
    const seenBy = hasSessions && session !== null ? { session: session ?? 'any' } : 'no session'
    const parts = JSON.stringify([crawl, seenBy, method, url, body, headers, downloader])
    return createHash('sha256').update(`force ${parts}`).digest('hex')
  }
}
