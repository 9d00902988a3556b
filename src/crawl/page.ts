import type { CheerioAPI } from 'cheerio'
import type { output, ZodType } from 'zod'
import type { HttpHeaders } from './downloader.ts'
import type { ReadyRequest } from './request/request.ts'

/** A page as a step receives it. */
export interface Page {
  /** The URL that answered, after redirects. */
  readonly url: string
  readonly request: ReadyRequest
  readonly status: number
  readonly headers: HttpHeaders
  readonly bytes: Uint8Array
  /** The body as text, by the `charset` of its `content-type`, its byte order mark or its `<meta>`; otherwise UTF-8. */
  text(): string
  /**
   * The body as JSON, checked by a schema if there is one.
   *
   * @throws CrawlError of class `parse`
   */
  json(): unknown
  json<S extends ZodType>(schema: S): output<S>
  /** The body as cheerio reads it, parsed once; with a selector, its matches. Needs the package `cheerio`. */
  html(): CheerioAPI
  // The elements' type is cheerio's own.
  html(selector: string): ReturnType<CheerioAPI>
  /**
   * The absolute URLs of the page's links, in their order, without duplicates and fragments; only http and https.
   *
   * @param selector default `a[href]`
   */
  links(selector?: string): string[]
  /** Whether the answer comes from the crawl's cache. */
  readonly isCached: boolean
  /** From sending the request until the body was read; 0 for a kept body. */
  readonly ms: number
  /** 1 for the first try. */
  readonly attempt: number
  /** The message of a socket, of which each is a call of its step; undefined for any other page. */
  readonly message?: PageMessage
}

export interface PageMessage {
  /** 1 for the item's first message; continues after a crash. */
  readonly number: number
  readonly isBinary: boolean
}
