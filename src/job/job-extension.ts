import type { Item } from '../item/item.ts'
import type { AnyItemContext } from './items/item-kind.ts'

/** The lane scope of all crawls. They share it, so that a host's limits apply to all of them together. */
export const CRAWL_LANES = 'crawl'

/** What `piko/crawl` adds to a crawl's job. Other parts of Piko use crawls only through this interface. */
export interface JobExtension {
  /**
   * Keeps the crawl's downloaders open in this process. Called by each app that runs the job's items.
   *
   * @returns a function to call when the app no longer needs them; the last such call closes them
   */
  keepOpen(): () => Promise<void>
  /**
   * Prepares the trial of one request. A trial stores nothing.
   *
   * @param request the URL, or a whole request
   * @throws PikoError `USAGE` naming every problem of the request
   */
  trial(request: unknown): Promise<PageTrial>
}

/** The trial of a request. The request becomes an item that is not stored. */
export interface PageTrial {
  readonly kind: string
  readonly key: string
  readonly lane: string
  readonly priority: number
  readonly data: unknown
  /** Loads the page and calls its step. Rejects with the error with which the item would fail. */
  run(item: Item, ctx: AnyItemContext): Promise<void>
  /** Returns what has happened so far. */
  report(): TrialReport
}

/** The result of the trial of a request. */
export interface TrialReport {
  /** The last response, even if the request failed; undefined if none arrived. */
  readonly answer: TriedAnswer | undefined
  readonly follows: readonly TriedFollow[]
  /** How many requests the step has passed to `ctx.follow`. `follows` contains the first 1,000 of them. */
  readonly followed: number
}

/** The response in a trial. */
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

/** A request that the step has passed to `ctx.follow`. */
export interface TriedFollow {
  readonly step: string
  /** The method and the canonical URL. Requests with the same text are duplicates. */
  readonly request: string
  /**
   * Why the request is left out. `host`: it leads to another host or domain than the seed. `pattern`: it does not match `include`, or it
   * matches `exclude`. `length`: its URL is too long. `duplicate`: it is for the page itself, or the page has already followed it.
   * Undefined: it would be loaded, unless the crawl already has it.
   */
  readonly left: 'host' | 'pattern' | 'length' | 'duplicate' | undefined
}
