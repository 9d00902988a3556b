import type { ItemContext } from '../../job/items/item-context.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { Duration } from '../../time/duration.ts'
import type { Window } from '../../time/window.ts'
import type { Page } from '../page.ts'
import type { CrawlRequest, ReadyRequest } from '../request/request.ts'

/** One request of a crawl as an item: a durable unit of work. */
export interface CrawlItem {
  readonly id: number
  readonly step: string
  /** The absolute URL that was requested, before redirects. */
  readonly url: string
  /** The number of the try; 1 for the first. Tries that ended because of a lost node, a stop or `ctx.retryLater` are not counted. */
  readonly attempt: number
  /** How many earlier tries failed, by failure class. */
  readonly tries: Readonly<Record<string, number>>
  /** The depth of the page: 0 for a seed. For other pages, one more than the depth of the page that links to it. */
  readonly depth: number
  readonly priority: number
  /** The id of the item whose step followed this page; undefined for a seed. */
  readonly parent: number | undefined
}

/** A page that failed and has no retries left. */
export interface DeadPage extends CrawlItem {
  /** The failure class of the last try. */
  readonly class: string
  /** The error of the last try. */
  readonly error: Error
  readonly request: ReadyRequest
  /** The value that was passed as `data` when this page was followed. */
  readonly data: unknown
  /** The last response; undefined if none arrived, or if `keep` is `{ dead: 'nothing' }`. */
  readonly page: Page | undefined
}

/**
 * The context of a crawl's function `dead`: the context of a step, without `item`, `data`, `progress`, and the functions that end a page or
 * follow requests.
 *
 * @typeParam Ctx the context of a step
 */
export type DeadPageContext<Ctx = CrawlContext> = Omit<
  Ctx,
  'item' | 'data' | 'follow' | 'skip' | 'retryLater' | 'commit' | 'progress'
>

/**
 * The context of a step. It is like the context of a job's handler, but belongs to one page.
 *
 * `fence` is the same for all pages of a run on all nodes, and larger for a later run of the same window. Sinks are flushed before the page
 * is done. The requests that `follow` has accepted are stored in the same transaction as the end of the page.
 *
 * @typeParam Step the names of the crawl's steps
 */
export interface CrawlContext<
  R extends ResourceMap = Record<never, never>,
  C = Record<string, unknown>,
  S extends SinkMap = Record<never, never>,
  W extends Window | undefined = Window | undefined,
  Step extends string = string,
> extends Omit<
  ItemContext<R, C, S, W, undefined>,
  | 'item'
  | 'items'
  | 'skip'
  | 'retryLater'
  | 'keep'
  | 'countBytes'
  | 'elapsedMs'
  | 'checkpoint'
  | 'state'
  | 'score'
  | 'scores'
  | 'lane'
> {
  readonly item: CrawlItem
  /** The value that was passed as `data` when this page was followed. */
  readonly data: unknown
  /**
   * Adds requests to the crawl; they are stored when this page is done. Leaves out requests that the crawl's or step's option `follow` does
   * not allow, and requests whose URL is too long. A request that the crawl already has is not stored again.
   *
   * @returns the number of accepted requests, including those that the crawl already has
   * @throws PikoError `USAGE` that names every problem of a request
   */
  readonly follow: (requests: CrawlRequest<Step> | readonly CrawlRequest<Step>[]) => number
  /**
   * Ends the page as skipped. Drops its requests, and its rows that have not been delivered yet. Never returns.
   *
   * @param reason the part before its first `:` is the name under which skipped pages are counted
   */
  readonly skip: (reason: string) => never
  /**
   * Loads the page again, but not before `when`. This is not counted as a retry. Drops the page's requests, and its rows that have not been
   * delivered yet. Never returns.
   */
  readonly retryLater: (when: Date | Duration) => never
}
