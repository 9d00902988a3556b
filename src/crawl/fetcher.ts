import type { AnyItemContext } from '../job/items/item-kind.ts'
import type { Logger } from '../logger.ts'
import type { FailureClass } from './crawl-error.ts'
import type { Answer, Downloader, StreamDownloader, StreamMessage } from './downloader.ts'
import type { ReadyRequest } from './request/request.ts'

/** The parts of an item's context that the items of all nodes share. */
export type FetchFleet = Pick<AnyItemContext, 'state' | 'score' | 'scores' | 'lane'>

/** The second argument of a fetcher, after the request of an item. */
export interface FetchScope {
  readonly fleet: FetchFleet
  readonly signal: AbortSignal
  readonly log: Logger
  /** The number of the try; 1 for the first. */
  readonly attempt: number
  /** How many earlier tries of the item failed, by class. */
  readonly failures: Readonly<Partial<Record<FailureClass, number>>>
  /** What the item has borrowed from the class in the crawl's `proxies`; undefined if that is not a class. */
  readonly proxies?: unknown
}

/** A response, with a function to call when the page has ended. */
export interface Fetched {
  readonly answer: Answer
  /** The name of the session that sent the request; undefined without a session. The page's links use the same session. */
  readonly session: string | undefined
  /**
   * Releases the session and the proxy, and updates their scores. Must be called exactly once for each response, before the end of the item
   * is stored. Never throws.
   */
  release(outcome: 'done' | 'skipped' | FailureClass): Promise<void>
}

/** The messages of one request, with a function to call when the item has ended. */
export interface Streamed {
  readonly messages: AsyncIterable<StreamMessage>
  readonly session: string | undefined
  release(outcome: 'done' | 'skipped' | FailureClass): Promise<void>
}

/**
 * Everything between a step and the network: robots.txt, cache, sessions, proxies and downloaders. Each crawl has one in each process; it
 * is opened for the crawl's first page.
 */
export interface Fetcher {
  /** Loads the response of a request. @throws CrawlError after the session and the proxy have been released */
  fetch(request: ReadyRequest, scope: FetchScope): Promise<Fetched>
  /** Loads the messages of a request. @throws CrawlError */
  stream(request: ReadyRequest, scope: FetchScope, from: number): Promise<Streamed>
  /** Whether the request's downloader returns many messages instead of one response. */
  streams(request: ReadyRequest): boolean
  /**
   * Closes the fetcher's connections, and each downloader that no other open fetcher uses.
   *
   * @throws the errors of all downloaders that fail to close
   */
  close(): Promise<void>
}

/** The downloaders of a crawl by name, and the name of the default downloader. */
export interface CrawlDownloaders {
  readonly byName: Readonly<Record<string, Downloader | StreamDownloader>>
  readonly default: string
}
