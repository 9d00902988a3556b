import type { Duration } from '../../time/duration.ts'
import type { InstantInput } from '../../time/instant.ts'

export type CrawlMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'

/** The body of a request: a text, bytes, a value that is sent as JSON, or the fields of a form. */
export type CrawlBody =
  | string
  | Uint8Array
  | { readonly json: unknown }
  | { readonly form: Readonly<Record<string, string | number | boolean>> }

/** How a request uses the crawl's cache. */
export type RequestCache = boolean | { readonly mode: 'http' | 'force' | 'off'; readonly ttl?: Duration }

/**
 * A request as an author writes it. `ctx.follow` stores it whole.
 *
 * @typeParam Step the names of the crawl's steps
 */
export interface CrawlRequest<Step extends string = string> {
  /** Absolute, or relative to the page whose step follows it. */
  readonly url: string | URL
  /** The step that parses the answer. Default: the step that follows it; a seed needs one if the crawl has several steps. */
  readonly step?: Step
  /** Default GET; POST with a body. */
  readonly method?: CrawlMethod
  /** Added to the step's own headers and replacing those of the same name. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: CrawlBody
  /** JSON up to 64 KB, which the step finds as `ctx.data`. */
  readonly data?: unknown
  /** Smaller first, from −32,768 to 32,767. Default: the step's. */
  readonly priority?: number
  /** Not before this. Default: now. */
  readonly due?: InstantInput
  /** The name of the session that sends it; `false` for none. Default: that of the page whose step follows it. */
  readonly session?: string | false
  /** The name of the downloader that loads it. Default: the step's. */
  readonly downloader?: string
  /** `false` loads it even if the crawl has it already; a text makes requests with different texts different. Default true. */
  readonly dedup?: boolean | string
  readonly cache?: RequestCache
  /** Longest time of one try. Default: the step's. */
  readonly timeout?: Duration
  /** Redirects to follow. Default 10. */
  readonly redirects?: number
  /** Statuses from 400 that are no failure. */
  readonly accept?: readonly number[]
}

/** A request with every default filled in, as it is stored and as downloaders and middleware receive it. JSON. */
export interface ReadyRequest {
  /** Absolute, as written, without its fragment. */
  readonly url: string
  readonly step: string
  readonly method: CrawlMethod
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: ReadyBody
  /** The name of its session. Undefined: the pool chooses one; null: none. */
  readonly session?: string | null
  readonly downloader?: string
  readonly cache?: { readonly mode: 'http' | 'force' | 'off'; readonly ttlMs?: number }
  readonly timeoutMs: number
  readonly redirects: number
  readonly accept: readonly number[]
}

/** The bytes of a request's body. The `content-type` is among the headers. */
export type ReadyBody = { readonly text: string } | { readonly base64: string }
