import type { output, ZodType } from 'zod'
import type { HttpHeaders } from './downloader.ts'
import type { HtmlDocument, HtmlNodes } from './html.ts'
import type { ReadyRequest } from './request/request.ts'

/** A loaded page, as the step receives it. */
export interface Page {
  /** The URL of the response, after redirects. */
  readonly url: string
  readonly request: ReadyRequest
  readonly status: number
  readonly headers: HttpHeaders
  readonly bytes: Uint8Array
  /**
   * Returns the body as text. The encoding is taken from the byte order mark, otherwise from the `charset` of the content type, otherwise
   * from the `<meta>` or XML declaration. Without any of these, JSON and valid UTF-8 are read as UTF-8, and everything else as
   * windows-1252.
   */
  text(): string
  /**
   * Parses the body as JSON, and checks it against a schema if one is given.
   *
   * @throws CrawlError of class `parse` if the body is not JSON or does not match the schema
   */
  json(): unknown
  json<S extends ZodType>(schema: S): output<S>
  /**
   * Returns the body as a cheerio document, or with a selector the matching elements. The body is parsed only once. Needs the package
   * `cheerio`.
   */
  html(): HtmlDocument
  html(selector: string): HtmlNodes
  /**
   * Returns the absolute http and https URLs of the page's links, in the order of the page, without duplicates and fragments.
   *
   * @param selector which elements are links; their `href` is used. Default `a[href]`
   */
  links(selector?: string): string[]
  /** Whether the response comes from the crawl's cache. */
  readonly isCached: boolean
  /**
   * Milliseconds from sending the request until the body was read. 0 for a WebSocket message, and for a response from an earlier try or
   * from the cache mode `'force'`.
   */
  readonly ms: number
  /** The number of the try; 1 for the first. */
  readonly attempt: number
  /** The position of this page's WebSocket message; undefined for other pages. The step is called for each message. */
  readonly message?: PageMessage
}

/** The position of a message in its stream. */
export interface PageMessage {
  /** The number of the message; 1 for the item's first message. The numbers continue after a crash. */
  readonly number: number
  readonly isBinary: boolean
}
