import type { ItemState } from '../../item/item.ts'
import type { AnyJob } from '../../job/job-types.ts'
import type { WindowInput } from '../../time/local-dates.ts'

/** Selects a run of a crawl: by its number, or by the crawl, which means its newest run with pages. */
export type CrawlRef = number | AnyJob

/** Selects pages of a run, in the order of their ids. */
export interface PageFilter {
  readonly state?: ItemState
  readonly step?: string
  /** A host name, followed by the port if it is not the default port. */
  readonly host?: string
  /** The maximum number of pages. Default 100. */
  readonly limit?: number
  /** Selects only pages with a larger id. Pass the `next` of the previous list. */
  readonly after?: number
}

/** Selects the pages to load or parse again. */
export interface PageReplay {
  /** The state of the pages to queue again. Default `'dead'`. */
  readonly state?: 'dead' | 'skipped' | 'cancelled'
  readonly step?: string
  readonly host?: string
  /** The ids of the pages. Default: all pages that match. */
  readonly ids?: readonly number[]
}

/** Selects hosts. */
export interface HostFilter {
  /** Selects only hosts with queued or running pages of this run. */
  readonly runId?: number
  /** The maximum number of hosts. Default 100. */
  readonly limit?: number
  /** Selects only hosts with a larger id. Pass the id of the last host of the previous page. */
  readonly after?: number
}

/** A request to try: its URL, or a request with the options of `ctx.follow`. */
export type TryRequest =
  | string
  | URL
  | {
      readonly url: string | URL
      /** The step that parses the page; required if the crawl has several. */
      readonly step?: string
      readonly [option: string]: unknown
    }

/** The options of `app.crawls.try`. */
export interface TryOptions {
  /** Overrides of the crawl's config. Default: none. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The window in the step's context. Default: the last window that has ended; if none has, the first one. */
  readonly window?: WindowInput
  /** Aborting this signal ends the trial, which then throws the signal's reason. Default: none. */
  readonly signal?: AbortSignal
}
