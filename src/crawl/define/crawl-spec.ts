import type { z } from 'zod'
import type { LaneSpec } from '../../item/lane.ts'
import type { JobContext } from '../../job/context.ts'
import type { ItemTolerance } from '../../job/items/item-kind.ts'
import type { JobSpec, WindowOf, WindowsSpec } from '../../job/spec.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { Duration } from '../../time/duration.ts'
import type { Downloader, StreamDownloader } from '../downloader.ts'
import type { FetchSpec } from '../fetch/fetch-spec.ts'
import type { FollowSpec } from '../link/link-filter.ts'
import type { Page } from '../page.ts'
import type { CrawlRequest, ReadyRequest } from '../request/request.ts'
import type { CrawlRetry } from '../run/failure-policy.ts'
import type { CrawlContext, DeadPage, DeadPageContext } from './crawl-context.ts'

/** Parses a page: writes its rows to sinks, and follows its links. */
export type ParsePage<Ctx> = (page: Page, ctx: Ctx) => unknown

/** A step with options. A step without options is only its `parse` function. */
export interface StepSpec<Ctx = CrawlContext> {
  readonly parse: ParsePage<Ctx>
  /** Among the pages of a host, those with a smaller number are loaded first. The range is −32,768 to 32,767. Default 0. */
  readonly priority?: number
  /** The time limit of one try, from the download until the step ends. Default `'5m'`. */
  readonly timeout?: Duration
  /** Default options for all requests of the step. The options of a request take precedence. */
  readonly request?: RequestDefaults
  /** The downloader of the step's pages: a name from the crawl's `downloaders`, or a downloader itself. Default: HTTP. */
  readonly downloader?: string | Downloader | StreamDownloader
  /** Which links the pages of the step may follow. Default: the crawl's `follow`. */
  readonly follow?: FollowSpec
}

/** The request options that a step can set for all its requests. */
export type RequestDefaults = Omit<CrawlRequest, 'url' | 'step' | 'data' | 'due' | 'dedup' | 'downloader' | 'priority'>

export type CrawlStep<Ctx = CrawlContext> = ParsePage<Ctx> | StepSpec<Ctx>

/** The requests that a run starts with. */
export type Seeds<Step extends string> = Iterable<Seed<Step>> | AsyncIterable<Seed<Step>>

/** A request. If the crawl has only one step, a URL is enough. */
export type Seed<Step extends string = string> = CrawlRequest<Step> | string | URL

/** Decides which requests are considered the same. Of these, only one is loaded. */
export interface DedupSpec {
  /**
   * For how long repeated requests are left out: within one run (`'run'`), forever (`'job'`), or for a length of time (`within`). Default
   * `'run'`.
   */
  readonly scope?: 'run' | 'job' | { readonly within: Duration }
  /** The query parameters that the comparison ignores, such as {@link TRACKING_PARAMETERS}; `*` matches any characters. Default: none. */
  readonly ignore?: readonly string[]
}

/** The limits of a run and of its pages. */
export interface CrawlLimits {
  /** The maximum number of requests of a run. Further requests count as skipped. Default: no limit. */
  readonly items?: number
  /** The maximum number of links from a seed to a page. Requests beyond this depth count as skipped. Default: no limit. */
  readonly depth?: number
  /** The maximum time between storing the first seeds and starting a page. Later pages are skipped. Default: no limit. */
  readonly time?: Duration
  /** The maximum size of a body after decompression: a number of bytes, or a string such as `'10MB'`. Default `'10MB'`. */
  readonly bytes?: number | `${number}${'KB' | 'MB' | 'GB'}`
  /** Whether the crawl may load from private, loopback and link-local addresses. Default false. */
  readonly private?: boolean
}

/** Wraps the download of every page. The first middleware in the list is the outermost: its `next` calls the second one. */
export type CrawlMiddleware<Ctx = CrawlContext> = (
  request: ReadyRequest,
  next: (request: ReadyRequest) => Promise<Page>,
  ctx: Ctx,
) => Promise<Page> | Page

/** Where a row is written: a sink and a model. */
export interface RowTarget {
  /** The name of the sink in the crawl's `sinks`. */
  readonly sink: string
  /** The model of the row, or the name of its route. */
  readonly model: unknown
}

/** Wraps every write of a row to a sink. A row that the middleware does not pass to `next` is not written. */
export type RowMiddleware<Ctx = CrawlContext> = (
  row: unknown,
  next: (row: unknown) => Promise<void>,
  target: RowTarget,
  ctx: Ctx,
) => Promise<void> | void

/** The options that a crawl has in addition to those of a job, except seeds and steps. */
export interface CrawlOptions<Ctx = CrawlContext> extends FetchSpec {
  readonly dedup?: DedupSpec
  /** Which requests `ctx.follow` accepts. Default: all. */
  readonly follow?: FollowSpec
  /** Limits by host. All nodes and all crawls share them. `'*'` applies to every other host. Default `{ '*': { parallel: 8 } }`. */
  readonly hosts?: Readonly<Record<string, LaneSpec>>
  /** The retries of pages by failure class, and the retries of the seeds. Defaults: see `docs/crawl.md`. */
  readonly retry?: CrawlRetry
  /**
   * Returns true for a page that says that the crawl is blocked, although its status indicates success. Such a page fails with class
   * `blocked`. Default: only the status decides.
   */
  readonly isBlocked?: (page: Page) => boolean
  readonly use?: readonly CrawlMiddleware<Ctx>[]
  readonly rows?: readonly RowMiddleware<Ctx>[]
  /** Downloaders by name, for steps and requests. */
  readonly downloaders?: Readonly<Record<string, Downloader | StreamDownloader>>
  /**
   * Called for a page that failed and has no retries left, before the page is stored as dead. It may use the sinks and resources of the
   * crawl, for up to one minute. If the node dies before the page is stored as dead, the page is tried again and this function may be
   * called again. Its errors are logged. Default: no function.
   */
  readonly dead?: (page: DeadPage, ctx: DeadPageContext<Ctx>) => unknown
  /** Whether a dead page keeps its response. Default `'body'`: the response is kept, so that people can read it. */
  readonly keep?: { readonly dead?: 'body' | 'nothing' }
  readonly limits?: CrawlLimits
  /** How many dead pages a successful run may have, such as `{ dead: '1%' }`. Default: none. */
  readonly tolerate?: ItemTolerance
}

/** The job options that a crawl also has, with the same meaning. */
export type CrawlJobOptions<
  R extends ResourceMap,
  C extends z.ZodType,
  S extends SinkMap,
  W extends WindowsSpec | undefined,
> = Omit<JobSpec<R, C, S, W>, 'input' | 'output' | 'retry' | 'items' | 'limits' | 'tolerate'>

/** The description of a crawl, as a developer writes it. */
export interface CrawlSpec<
  Step extends string = string,
  R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  S extends SinkMap = Record<never, never>,
  W extends WindowsSpec | undefined = WindowsSpec | undefined,
>
  extends CrawlJobOptions<R, C, S, W>, CrawlOptions<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>> {
  /**
   * The requests that a run starts with: a list, or a function that returns them and may use the config and the window. They are stored in
   * batches of up to 1,000. After a restart of the run, requests that are already stored are not stored again.
   */
  readonly seeds:
    | readonly Seed<NoInfer<Step>>[]
    | ((ctx: JobContext<R, z.output<C>, S, WindowOf<W>>) => Seeds<NoInfer<Step>> | Promise<Seeds<NoInfer<Step>>>)
  readonly steps: Readonly<Record<Step, CrawlStep<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>>>>
}

/** The description of a crawl that is written as a class. Its seeds and steps are methods. */
export interface CrawlClassSpec<
  Step extends string = string,
  R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  S extends SinkMap = Record<never, never>,
  W extends WindowsSpec | undefined = WindowsSpec | undefined,
>
  extends CrawlJobOptions<R, C, S, W>, CrawlOptions<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>> {
  /** The names of the steps, only for the compiler: a request to any other step is then a compile error. */
  readonly steps?: readonly Step[]
}

// The type parameters are erased, as for jobs, because the same code handles crawls of every type.
/* oxlint-disable typescript/no-explicit-any */
export type AnyCrawlSpec = CrawlSpec<any, any, any, any, any>
export type AnyCrawlContext = CrawlContext<any, any, any, any, any>
/* oxlint-enable typescript/no-explicit-any */
