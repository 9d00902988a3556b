import type { Duration } from '../../time/duration.ts'
import type { InstantInput } from '../../time/instant.ts'

export type CrawlMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'

/** The body of a request: a string, bytes, a value to send as JSON, or the fields of a form. */
export type CrawlBody =
  | string
  | Uint8Array
  | { readonly json: unknown }
  | { readonly form: Readonly<Record<string, string | number | boolean>> }

/** How a request uses the crawl's cache. `true` means `{ mode: 'http' }`, `false` means `{ mode: 'off' }`. */
export type RequestCache = boolean | { readonly mode: 'http' | 'force' | 'off'; readonly ttl?: Duration }

/**
 * A request of a crawl, as an author writes it.
 *
 * @typeParam Step the names of the crawl's steps
 */
export interface CrawlRequest<Step extends string = string> {
  /** An absolute URL, or a URL relative to the page that links to it. A seed's URL must be absolute. */
  readonly url: string | URL
  /** The step that parses the page. Default: the step that follows the request. If the crawl has several steps, a seed must name one. */
  readonly step?: Step
  /** The method. Default: the step's, otherwise POST if the request has a body, and GET if it has none. */
  readonly method?: CrawlMethod
  /** Headers in addition to the step's. They replace headers of the same name; `undefined` removes one. Default: none. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** The body of the request, up to 1 MB. Default: the step's, if any. */
  readonly body?: CrawlBody
  /** Any JSON value up to 64 KB; the step receives it as `ctx.data`. Default: undefined. */
  readonly data?: unknown
  /** Among the requests of a host, those with a smaller number are loaded first. The range is −32,768 to 32,767. Default: the step's. */
  readonly priority?: number
  /** The request is not sent before this instant. Default: now. */
  readonly due?: InstantInput
  /**
   * The name of the session that sends the request; `false` for none. Default: the step's, otherwise the session of the page that links to
   * it.
   */
  readonly session?: string | false
  /** The name of the downloader that loads the request. Default: the step's. */
  readonly downloader?: string
  /**
   * `false` loads the request even if the crawl already has the same one. With a string, only requests with the same string count as the
   * same. Default true: the same request is loaded once.
   */
  readonly dedup?: boolean | string
  /** How the request uses the crawl's cache. Default: the step's, otherwise the crawl's `cache`. */
  readonly cache?: RequestCache
  /** The time limit of one download. Default: the one in the step's `request`, otherwise `'30s'`. */
  readonly timeout?: Duration
  /** The maximum number of redirects, up to 100. With 0, the redirect itself is the response. Default: the step's, otherwise 10. */
  readonly redirects?: number
  /** Statuses of 400 or more that do not count as failures. Default: the step's, if any. */
  readonly accept?: readonly number[]
}

/** A request with all defaults filled in. It is stored as JSON. Downloaders and middleware receive it in this form. */
export interface ReadyRequest {
  /** The absolute URL, without its fragment. */
  readonly url: string
  readonly step: string
  readonly method: CrawlMethod
  /** Headers, with lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: ReadyBody
  /** The name of the session that sends the request. Undefined: any session; null: no session. */
  readonly session?: string | null
  readonly downloader?: string
  readonly cache?: { readonly mode: 'http' | 'force' | 'off'; readonly ttlMs?: number }
  readonly timeoutMs: number
  readonly redirects: number
  readonly accept: readonly number[]
}

/** The stored form of a request's body. The request's headers contain its `content-type`. */
export type ReadyBody = { readonly text: string } | { readonly base64: string }
