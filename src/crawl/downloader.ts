import type { ResponseStore } from '../http-client/http-cache.ts'
import type { Logger } from '../logger.ts'
import type { ReadyRequest } from './request/request.ts'

/** The headers of a response, with lower-case names. The values of a repeated header are joined by `, `. `set-cookie` is left out. */
export type HttpHeaders = Readonly<Record<string, string>>

/** A response, in the form that a downloader returns. The crawl creates the step's `Page` from it. */
export interface Answer {
  /** The URL of the response, after redirects. */
  readonly url: string
  readonly status: number
  readonly headers: HttpHeaders
  /** The body after decompression. */
  readonly bytes: Uint8Array
  /** The time from sending the request until the body was read, in milliseconds. */
  readonly ms: number
  /** Whether the response comes from the crawl's cache. */
  readonly isCached: boolean
}

/** A session, for the duration of one request. Only one item uses a session at a time. */
export interface DownloadSession {
  readonly name: string
  /** The headers that the session adds to every request to the origin of this URL. */
  headersFor(url: string): Readonly<Record<string, string>>
  /** The `cookie` header for a URL; undefined if the session has no cookies for it. */
  cookiesFor(url: string): string | undefined
  /** Stores the `set-cookie` headers of a response. Call this for each redirect, too. */
  storeCookies(url: string, cookies: readonly string[]): void
}

/** A proxy, for the duration of one request. */
export interface DownloadProxy {
  /** The proxy's URL, with its user and password. It must not appear in logs, stored rows or errors. */
  readonly url: string
  /** The proxy's host and port, without its user and password. */
  readonly label: string
}

/** The limits that a downloader must enforce. */
export interface DownloadLimits {
  /** The maximum size of a body after decompression, in bytes. */
  readonly bytes: number
  /** The maximum size of a response's headers, in bytes. */
  readonly headerBytes: number
  /** Whether requests and redirects may go to private, loopback and link-local addresses. */
  readonly private: boolean
  /** The maximum time without a byte from the server, in milliseconds. */
  readonly idleMs: number
}

/** The second argument of a downloader, after the request. */
export interface DownloadScope {
  /** Aborts when the item exceeds its time limit or loses its lease, when the run is cancelled, or when the process stops. */
  readonly signal: AbortSignal
  readonly limits: DownloadLimits
  readonly userAgent: string
  readonly session: DownloadSession | undefined
  readonly proxy: DownloadProxy | undefined
  readonly log: Logger
  /** The number of the try; 1 for the first. */
  readonly attempt: number
  /** The store for responses that may be cached according to HTTP's rules. Undefined: do not cache. */
  readonly cache?: ResponseStore | undefined
  /**
   * A downloader must call this with the target URL of each redirect, and await it before it follows the redirect.
   *
   * @throws CrawlError of class `robots` or `network` if that URL must not be loaded now
   */
  readonly admit?: ((url: string) => Promise<void>) | undefined
}

/** Loads requests: `http()`, `browser()`, or a downloader that you write. A crawl uses the same instance for all its pages in a process. */
export interface Downloader {
  readonly name: string
  /**
   * Returns the response if its status is below 400, or if the request accepts its status.
   *
   * @throws CrawlError with the class of the failure
   */
  download(request: ReadyRequest, scope: DownloadScope): Promise<Answer>
  /** Called when the last app that uses the downloader in this process stops. An app that starts later may use it again. */
  close?(): Promise<void>
}

/** One message of a stream. Each message is a separate page, so the step is called for each. */
export interface StreamMessage {
  readonly bytes: Uint8Array
  readonly isBinary: boolean
}

/** Loads many pages with one request, such as the messages of a WebSocket. */
export interface StreamDownloader {
  readonly name: string
  /**
   * Loads the messages of a request.
   *
   * @param from how many messages of the item are already stored; the first message of this stream gets the next number
   * @throws CrawlError with the class of the failure
   */
  stream(request: ReadyRequest, scope: DownloadScope, from: number): AsyncIterable<StreamMessage>
  /** Like `close` of a {@link Downloader}. */
  close?(): Promise<void>
}
