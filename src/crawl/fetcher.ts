import type { AnyItemContext } from '../job/items/item-kind.ts'
import type { Logger } from '../logger.ts'
import type { FailureClass } from './crawl-error.ts'
import type { Answer, Downloader, StreamDownloader, StreamMessage } from './downloader.ts'
import type { ReadyRequest } from './request/request.ts'

/** What an item shares with the items of all nodes. */
export type FetchFleet = Pick<AnyItemContext, 'lane' | 'state' | 'score' | 'scores'>

/** What an item's request needs of the process while it is under way. */
export interface FetchScope {
  readonly fleet: FetchFleet
  readonly signal: AbortSignal
  readonly log: Logger
  /** 1 for the first try. */
  readonly attempt: number
  /** What earlier tries of the item failed by: a `blocked` one gets another session and another proxy. */
  readonly failures: Readonly<Partial<Record<FailureClass, number>>>
}

/** An answer, and what must happen once the item has ended. */
export interface Fetched {
  readonly answer: Answer
  /** The name of the session that sent it, for the requests that follow; undefined for none. */
  readonly session: string | undefined
  /**
   * Gives session and proxy back, scored by the outcome. Called exactly once for each answer, before the
   * item's end is stored; never throws.
   */
  release(outcome: 'done' | 'skipped' | FailureClass): Promise<void>
}

/** Many answers of one request. */
export interface Streamed {
  readonly messages: AsyncIterable<StreamMessage>
  readonly session: string | undefined
  release(outcome: 'done' | 'skipped' | FailureClass): Promise<void>
}

/**
 * Everything between a step and the network: robots, cache, sessions, proxies and downloaders. One per crawl and process; opened with the
 * crawl's first item.
 */
export interface Fetcher {
  /** @throws CrawlError; whatever it borrowed is then given back already */
  fetch(request: ReadyRequest, scope: FetchScope): Promise<Fetched>
  /** @throws CrawlError */
  stream(request: ReadyRequest, scope: FetchScope, from: number): Promise<Streamed>
  /** Whether the request's downloader sends many messages for it. */
  streams(request: ReadyRequest): boolean
  close(): Promise<void>
}

/** The downloaders of a crawl by name, and which one its requests use without one. */
export interface CrawlDownloaders {
  readonly byName: Readonly<Record<string, Downloader | StreamDownloader>>
  readonly default: string
}
