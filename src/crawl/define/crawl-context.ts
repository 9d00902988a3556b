import type { ItemContext } from '../../job/items/item-context.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { Duration } from '../../time/duration.ts'
import type { Window } from '../../time/window.ts'
import type { CrawlRequest } from '../request/request.ts'

/** A request of a crawl as one durable unit of work. */
export interface CrawlItem {
  readonly id: number
  readonly step: string
  /** As followed, before redirects. */
  readonly url: string
  /** 1 for the first try. Lost nodes, stops and `ctx.retryLater` are not counted. */
  readonly attempt: number
  /** How many earlier tries failed by each class. */
  readonly tries: Readonly<Record<string, number>>
  /** 0 for a seed, otherwise one more than the page that followed it. */
  readonly depth: number
  readonly priority: number
  /** The id of the item whose step followed it; undefined for a seed. */
  readonly parent: number | undefined
}

/**
 * The context of a step: that of a job's handler for one page.
 *
 * `fence` is the same for all pages of a run on all nodes, and larger for a later run of the window. Sinks are flushed before the page is
 * done; what `follow` took and the page's end are one transaction.
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
  /** What the page that followed this one passed as `data`. */
  readonly data: unknown
  /**
   * Adds requests to the crawl, whole, once this page is done. Takes those that the crawl's `follow` allows; a request that the crawl has
   * already is stored once.
   *
   * @returns how many it took
   * @throws PikoError `USAGE` that names every problem of a request
   */
  readonly follow: (requests: CrawlRequest<Step> | readonly CrawlRequest<Step>[]) => number
  /**
   * Ends the page as skipped; nothing of it is written. Never returns.
   *
   * @param reason its part before the first `:` is counted
   */
  readonly skip: (reason: string) => never
  /** Loads the page again, not before then, at no cost. Nothing of it is written. Never returns. */
  readonly retryLater: (when: Date | Duration) => never
}
