import type { ResponseStore } from '../http-client/http-cache.ts'
import type { Logger } from '../logger.ts'
import type { ReadyRequest } from './request/request.ts'

/** Headers of an answer by their names in lower case. A repeated header is joined by `, `; `set-cookie` is left out. */
export type HttpHeaders = Readonly<Record<string, string>>

/** What came back, as a downloader returns it. The pipeline keeps it and makes the step's `Page` of it. */
export interface Answer {
  /** The URL that answered, after redirects. */
  readonly url: string
  readonly status: number
  readonly headers: HttpHeaders
  /** The body after decompression. */
  readonly bytes: Uint8Array
  /** From sending until the body was read. */
  readonly ms: number
  readonly isCached: boolean
}

/** A session during one request: one item uses it at a time. */
export interface DownloadSession {
  readonly name: string
  /** Sent with every request of the session, to the origins that it is for. */
  headersFor(url: string): Readonly<Record<string, string>>
  /** The `cookie` header for a URL; undefined without one. */
  cookiesFor(url: string): string | undefined
  /** Takes the `set-cookie` headers of an answer; also of redirects. */
  storeCookies(url: string, cookies: readonly string[]): void
}

/** A proxy during one request. */
export interface DownloadProxy {
  /** With its credentials, so never in a log, a row or an error. */
  readonly url: string
  /** Without credentials: host and port. */
  readonly label: string
}

export interface DownloadLimits {
  /** Largest body in bytes, after decompression. */
  readonly bytes: number
  /** Largest headers of an answer in bytes. */
  readonly headerBytes: number
  /** Whether private, loopback and link-local addresses may be asked, redirects included. */
  readonly private: boolean
  /** Longest time without a byte. */
  readonly idleMs: number
}

/** What a downloader gets besides the request. */
export interface DownloadScope {
  /** Ends with the item's time limit, a cancel, a lost lease or a stop. */
  readonly signal: AbortSignal
  readonly limits: DownloadLimits
  readonly userAgent: string
  readonly session: DownloadSession | undefined
  readonly proxy: DownloadProxy | undefined
  readonly log: Logger
  /** 1 for the first try. */
  readonly attempt: number
  /** Where answers are kept as HTTP allows. */
  readonly cache?: ResponseStore | undefined
  /** Asked about each URL that a redirect leads to. @throws CrawlError of class `robots` */
  readonly admit?: ((url: string) => Promise<void>) | undefined
}

/** Loads requests: `http()`, `browser()`, or an author's own. One instance per crawl and process. */
export interface Downloader {
  readonly name: string
  /** Returns any answer whose status the request accepts, or which is below 400. @throws CrawlError with the class of the failure */
  download(request: ReadyRequest, scope: DownloadScope): Promise<Answer>
  /** Called once when the process stops. */
  close?(): Promise<void>
}

/** One message of a stream. Each is a page of its own, for which the step is called. */
export interface StreamMessage {
  readonly bytes: Uint8Array
  readonly isBinary: boolean
}

/** Loads many pages with one request, such as the messages of a WebSocket. */
export interface StreamDownloader {
  readonly name: string
  /**
   * @param from how many messages of the item are stored already; a message's number continues from it
   * @throws CrawlError with the class of the failure
   */
  stream(request: ReadyRequest, scope: DownloadScope, from: number): AsyncIterable<StreamMessage>
  close?(): Promise<void>
}
