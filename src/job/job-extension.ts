import type { Item } from '../item/item.ts'
import type { AnyItemContext } from './items/item-kind.ts'

/** The scope of the lanes of all crawls, which share the limits of their hosts. */
export const CRAWL_LANES = 'crawl'

/** The part of a crawl's job that `piko/crawl` adds. Other parts of Piko use crawls only through this interface. */
export interface JobExtension {
  /**
   * Keeps the downloaders of the crawl open in this process. Called by each app that runs the items of the job.
   *
   * @returns a function that ends this; the last one that is called closes them
   */
  keepOpen(): () => Promise<void>
  /**
   * Prepares the trial of one request, which stores nothing.
   *
   * @param request the URL, or a whole request
   * @throws PikoError `USAGE` naming every problem of the request
   */
  trial(request: unknown): Promise<PageTrial>
}

/** A request to be tried, as an item that is not stored. */
export interface PageTrial {
  readonly kind: string
  readonly key: string
  readonly lane: string
  readonly priority: number
  readonly data: unknown
  /** Loads the page and calls its step. Rejects with the error that would fail the item. */
  run(item: Item, ctx: AnyItemContext): Promise<void>
  /** Returns what has happened until now. */
  report(): TrialReport
}

/** The result of the trial of a request. */
export interface TrialReport {
  /** The last response, even if the request failed; undefined if none arrived. */
  readonly answer: TriedAnswer | undefined
  readonly follows: readonly TriedFollow[]
  /** How many requests the step passed to `ctx.follow`. The first 1,000 of them are in `follows`. */
  readonly followed: number
}

/** The response to a request that was tried. */
export interface TriedAnswer {
  /** The URL of the response, after redirects. */
  readonly url: string
  readonly status: number
  /** The `content-type` of the response. */
  readonly type: string | undefined
  /** The size of the body after decompression, in bytes. */
  readonly bytes: number
  readonly ms: number
  readonly isCached: boolean
}

/** A request that the step passed to `ctx.follow`. */
export interface TriedFollow {
  readonly step: string
  /** The method and the canonical URL, by which duplicates are recognised. */
  readonly request: string
  /**
   * Why the request is left out: it leads to another host or domain than the seed (`host`), does not match the patterns (`pattern`), its
   * URL is too long (`length`), or it is the page itself or was already followed by it (`duplicate`). Undefined: it would be loaded, unless
   * the crawl already has it.
   */
  readonly left: 'host' | 'pattern' | 'length' | 'duplicate' | undefined
}
