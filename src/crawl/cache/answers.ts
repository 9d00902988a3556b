import { createHash } from 'node:crypto'
import { within } from '../../calls/timeout.ts'
import { decodeEntry, encodeEntry } from '../../http-client/cache-entry.ts'
import { type ResponseStore, storedIn } from '../../http-client/http-cache.ts'
import { durationMs } from '../../time/duration.ts'
import type { Answer } from '../downloader.ts'
import type { ReadyRequest } from '../request/request.ts'
import type { CacheSpec } from './cache-spec.ts'
import { FileStore } from './file-store.ts'

const DEFAULT_FOLDER = '.piko/http-cache'
const DEFAULT_TTL = '1d'
/** How long a close waits for unfinished writes. */
const CLOSE_MS = 2_000

/** The crawl that the cached responses belong to. */
export interface AnswersOwner {
  /** The id of the crawl. Other crawls never use its responses, because they may log in differently or send other headers. */
  readonly crawl: string
  /** Whether the crawl uses sessions. */
  readonly hasSessions: boolean
}

/** A cached response, and the name of the session that loaded it, if any. */
interface KeptAnswer {
  readonly answer: Answer
  readonly session: string | undefined
}

type Head = Omit<Answer, 'bytes'> & { readonly session?: string }

/** The cached responses of a crawl. */
export class Answers {
  readonly #spec: CacheSpec
  readonly #owner: AnswersOwner
  #store: ResponseStore | undefined

  constructor(spec: CacheSpec, owner: AnswersOwner) {
    this.#spec = spec
    this.#owner = owner
    this.#store = spec.store
  }

  /** Returns the store of the responses. A folder is opened with the first request that needs it. */
  get store(): ResponseStore {
    this.#store ??= new FileStore(this.#spec.folder ?? DEFAULT_FOLDER)
    return this.#store
  }

  /** Returns the cache mode of a request: that of its own `cache` option, otherwise the crawl's. */
  modeOf({ cache }: ReadyRequest): CacheSpec['mode'] {
    return cache?.mode ?? this.#spec.mode
  }

  /** Returns the cached response of a request; undefined if there is none or the store can't be reached. */
  async get(request: ReadyRequest): Promise<KeptAnswer | undefined> {
    const bytes = await this.store.get(this.#keyOf(request)).catch(() => undefined)
    const entry = bytes && decodeEntry<Head>(bytes)
    if (!entry) return undefined
    const { session, ...head } = entry.head
    return { answer: { ...head, bytes: entry.body, ms: 0, isCached: true }, session }
  }

  /** Stores the response of a request. @param session the name of the session that loaded it; undefined without a session */
  async set(request: ReadyRequest, { bytes, ...answer }: Answer, session: string | undefined): Promise<void> {
    const head: Head = { ...answer, ...(session !== undefined && { session }) }
    const ttl = `${request.cache?.ttlMs ?? durationMs(this.#spec.ttl ?? DEFAULT_TTL)}ms` as const
    // An error of the store must not fail the page: its only effect is that the next run loads the page again.
    await this.store.set(this.#keyOf(request), encodeEntry(head, bytes), { ttl }).catch(() => {})
  }

  /** Waits until the loaded responses are stored, so that the next process finds them. Stops waiting if the store does not answer. */
  async close(): Promise<void> {
    const store = this.#store
    if (!store) return
    await within(() => storedIn(store), CLOSE_MS, undefined).catch(() => {})
  }

  /**
   * Returns the key of a request in the store. Crawls may share the store, and a response for a session may be private, so the key contains
   * the crawl and the session.
   */
  #keyOf({ method, url, body, session, headers, downloader }: ReadyRequest): string {
    const { crawl, hasSessions } = this.#owner
    // Requests that name no session share their responses, whichever session loaded them.
    const seenBy = hasSessions && session !== null ? { session: session ?? 'any' } : 'no session'
    const parts = JSON.stringify([crawl, seenBy, method, url, body, headers, downloader])
    return createHash('sha256').update(`force ${parts}`).digest('hex')
  }
}
