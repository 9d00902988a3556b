import type { AnyCrawlContext, CrawlMiddleware, ParsePage, RowMiddleware } from '../define/crawl-spec.ts'
import type { Duration } from '../../time/duration.ts'
import type { Downloader, StreamDownloader } from '../downloader.ts'
import type { Fetcher } from '../fetcher.ts'
import type { LinkFilter } from '../link/link-filter.ts'
import type { Page } from '../page.ts'
import type { RequestRules, StepDefaults } from '../request/ready-request.ts'

/** A step with all defaults filled in. */
export interface StepPlan extends StepDefaults {
  readonly name: string
  readonly parse: ParsePage<AnyCrawlContext>
  readonly follow: LinkFilter
  /** The time limit of one try. */
  readonly timeout: Duration
  /** The downloader that the step defines inline; `downloader` is then its generated name. Undefined if the step names one or has none. */
  readonly own: Downloader | StreamDownloader | undefined
}

/** A crawl with all defaults filled in. */
export interface CrawlPlan {
  readonly id: string
  /** Returns the seeds. Called with the context of the run's handler. */
  readonly seeds: (ctx: unknown) => unknown
  readonly steps: ReadonlyMap<string, StepPlan>
  readonly rules: RequestRules
  readonly use: readonly CrawlMiddleware<AnyCrawlContext>[]
  readonly rows: readonly RowMiddleware<AnyCrawlContext>[]
  readonly isBlocked: ((page: Page) => boolean) | undefined
  /** Whether responses are kept for the next try and with dead items. */
  readonly keepsBodies: boolean
  readonly timeLimitMs: number | undefined
  /** Returns the fetcher of the crawl in this process. The first call opens it. */
  readonly fetcher: () => Promise<Fetcher>
}
