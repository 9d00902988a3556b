import type { Item } from '../item/item.ts'
import type { AnyItemContext } from './items/item-kind.ts'

/** The scope of the lanes of all crawls, which share the limits of their hosts. */
export const CRAWL_LANES = 'crawl'

/** What `piko/crawl` adds to the jobs it makes. Other rooms know a crawl only by this. */
export interface JobExtension {
  /**
   * Keeps what the job has open in this process. Called by each app that runs its items.
   *
   * @returns closes it again, once nobody keeps it any more
   */
  keepOpen(): () => Promise<void>
  /**
   * Prepares one request to be tried without storing anything.
   *
   * @param request its URL, or a whole request
   * @throws PikoError `USAGE` naming every problem of the request
   */
  trial(request: unknown): Promise<PageTrial>
}

/** A request to try: an item that is stored nowhere. */
export interface PageTrial {
  readonly kind: string
  readonly key: string
  readonly lane: string
  readonly priority: number
  readonly data: unknown
  /** Loads the page and calls its step. Rejects as an item's function does. */
  run(item: Item, ctx: AnyItemContext): Promise<void>
  /** What happened so far. */
  report(): TrialReport
}

export interface TrialReport {
  /** The last answer, also that of a failed request. Undefined: none came. */
  readonly answer: TriedAnswer | undefined
  readonly follows: readonly TriedFollow[]
  /** How many requests `ctx.follow` got. `follows` has the first 1,000. */
  readonly followed: number
}

export interface TriedAnswer {
  /** The URL that answered, after redirects. */
  readonly url: string
  readonly status: number
  /** Its `content-type`. */
  readonly type: string | undefined
  /** The size of the body after decompression. */
  readonly bytes: number
  readonly ms: number
  readonly isCached: boolean
}

/** A request that the step passed to `ctx.follow`. */
export interface TriedFollow {
  readonly step: string
  /** Its method and its canonical URL, by which duplicates are found. */
  readonly request: string
  /**
   * Why it is left out: it leaves the host or domain of the seed (`host`), fits no pattern (`pattern`), is
   * too long (`length`), or the page has followed it before, or is that page (`duplicate`). Undefined: it would be loaded, unless its crawl
   * has it already.
   */
  readonly left: 'host' | 'pattern' | 'length' | 'duplicate' | undefined
}
