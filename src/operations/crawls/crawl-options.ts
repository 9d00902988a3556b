import type { ItemState } from '../../item/item.ts'
import type { AnyJob } from '../../job/job-types.ts'
import type { WindowInput } from '../../time/local-dates.ts'

/** The number of a run of a crawl, or a crawl: its newest run with pages. */
export type CrawlRef = number | AnyJob

/** Selects pages of a run, in the order of their ids. */
export interface PageFilter {
  readonly state?: ItemState
  readonly step?: string
  /** A host, with its port unless it is the scheme's own. */
  readonly host?: string
  /** Default 100. */
  readonly limit?: number
  /** Only pages with a larger id: the `next` of the list before. */
  readonly after?: number
}

/** Selects the pages to load or parse again. */
export interface PageReplay {
  /** Default `'dead'`. */
  readonly state?: 'dead' | 'skipped' | 'cancelled'
  readonly step?: string
  readonly host?: string
  /** Ids of pages. */
  readonly ids?: readonly number[]
}

/** Selects hosts. */
export interface HostFilter {
  /** Only hosts with queued or running pages of this run. */
  readonly runId?: number
  /** Default 100. */
  readonly limit?: number
  /** Only lanes with a larger id. */
  readonly after?: number
}

/** A request to try: its URL, or a whole one as `ctx.follow` takes it. */
export type TryRequest =
  | string
  | URL
  | {
      readonly url: string | URL
      /** What parses the answer; required if the crawl has several steps. */
      readonly step?: string
      readonly [option: string]: unknown
    }

export interface TryOptions {
  /** The run's own config. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The window that the step sees. Default: the last one that is over. */
  readonly window?: WindowInput
  /** Ends the trial early. */
  readonly signal?: AbortSignal
}
