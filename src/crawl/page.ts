import type { output, ZodType } from 'zod'
import type { HttpHeaders } from './downloader.ts'
import type { HtmlDocument, HtmlNodes } from './html.ts'
import type { ReadyRequest } from './request/request.ts'

/** A page that a step receives. */
export interface Page {
  /** The URL of the response, after redirects. */
  readonly url: string
  readonly request: ReadyRequest
  readonly status: number
  readonly headers: HttpHeaders
  readonly bytes: Uint8Array
  /**
   * The body as text. Its encoding is that of its byte order mark, otherwise the `charset` of its content type, otherwise the one in its
   * `<meta>` or XML declaration. Without any of them, it is UTF-8 if the body is valid UTF-8, otherwise windows-1252.
   */
  text(): string
  /**
   * Parses the body as JSON, and checks it against a schema if one is given.
   *
   * @throws CrawlError of class `parse` if the body is not JSON or does not fit the schema
   */
  json(): unknown
  json<S extends ZodType>(schema: S): output<S>
  /** The body as a cheerio document, which is parsed once; with a selector, the elements that match. Needs the package `cheerio`. */
  html(): HtmlDocument
  html(selector: string): HtmlNodes
  /**
   * The absolute URLs of the page's links, in the order of the page, without duplicates and fragments; only http and https.
   *
   * @param selector which elements count as links, by their `href`; default `a[href]`
   */
  links(selector?: string): string[]
  /** Whether the response comes from the crawl's cache. */
  readonly isCached: boolean
  /**
   * The time from sending the request until the body was read, in milliseconds; 0 if the response comes from an earlier try or from the
   * cache mode `'force'`.
   */
  readonly ms: number
  /** The number of the try; 1 for the first. */
  readonly attempt: number
  /** The message of a socket that this page contains; undefined for a page that is not a message. The step is called for each message. */
  readonly message?: PageMessage
}

/** The place of a message in its stream. */
export interface PageMessage {
  /** The number of the message; 1 for the first message of the item. After a crash, the count continues. */
  readonly number: number
  readonly isBinary: boolean
}
