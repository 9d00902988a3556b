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

/** A step with options. A step without options is its `parse` function alone. */
export interface StepSpec<Ctx = CrawlContext> {
  readonly parse: ParsePage<Ctx>
  /** Among the pages of a host, those with the smallest number are loaded first. The range is −32,768 to 32,767. Default 0. */
  readonly priority?: number
  /** The time limit of one try, from the download until the step ends. Default `'5m'`. */
  readonly timeout?: Duration
  /** Options for each request of the step. Those of a request itself take precedence. */
  readonly request?: RequestDefaults
  /** The downloader of the step's pages: the name of one of the crawl's `downloaders`, or a downloader. Default: HTTP. */
  readonly downloader?: string | Downloader | StreamDownloader
  /** The links that the pages of the step may follow. Default: the crawl's `follow`. */
  readonly follow?: FollowSpec
}

/** The options of a request that a step can set for all its requests. */
export type RequestDefaults = Omit<CrawlRequest, 'url' | 'step' | 'data' | 'due' | 'dedup' | 'downloader' | 'priority'>

export type CrawlStep<Ctx = CrawlContext> = ParsePage<Ctx> | StepSpec<Ctx>

/** The requests that a run starts with. */
export type Seeds<Step extends string> = Iterable<Seed<Step>> | AsyncIterable<Seed<Step>>

/** A request, or its URL for a crawl with one step. */
export type Seed<Step extends string = string> = CrawlRequest<Step> | string | URL

/** Decides which requests count as the same, and are loaded only once. */
export interface DedupSpec {
  /** A request is loaded once in each run (`'run'`), once ever (`'job'`), or once in a length of time (`within`). Default `'run'`. */
  readonly scope?: 'run' | 'job' | { readonly within: Duration }
  /**
   * Names of query parameters that are ignored in the comparison, such as {@link TRACKING_PARAMETERS}; `*` stands for any characters.
   * Default: none.
   */
  readonly ignore?: readonly string[]
}

/** The limits of a run and of its pages. */
export interface CrawlLimits {
  /** The maximum number of requests of a run. Further requests are counted as skipped. Default: no limit. */
  readonly items?: number
  /** The maximum number of links between a seed and a page. Requests beyond that are counted as skipped. Default: no limit. */
  readonly depth?: number
  /** Pages that have not begun this long after the first seeds were stored are skipped. Default: no limit. */
  readonly time?: Duration
  /** The maximum size of a body after decompression: a number of bytes, or a text such as `'10MB'`. Default `'10MB'`. */
  readonly bytes?: number | `${number}${'KB' | 'MB' | 'GB'}`
  /** Whether the crawl may load from private, loopback and link-local addresses. Default false. */
  readonly private?: boolean
}

/** Wraps the download of every page. The first middleware of the list is the outermost: its `next` calls the second one. */
export type CrawlMiddleware<Ctx = CrawlContext> = (
  request: ReadyRequest,
  next: (request: ReadyRequest) => Promise<Page>,
  ctx: Ctx,
) => Promise<Page> | Page

/** The sink and the model that a row is written to. */
export interface RowTarget {
  /** The name of the sink in the crawl's `sinks`. */
  readonly sink: string
  /** The model or the route of the row. */
  readonly model: unknown
}

/** Wraps the writing of every row to a sink. A row that the middleware does not pass to `next` is not written. */
export type RowMiddleware<Ctx = CrawlContext> = (
  row: unknown,
  next: (row: unknown) => Promise<void>,
  target: RowTarget,
  ctx: Ctx,
) => Promise<void> | void

/** The options that a crawl has in addition to those of a job, except seeds and steps. */
export interface CrawlOptions<Ctx = CrawlContext> extends FetchSpec {
  readonly dedup?: DedupSpec
  /** The requests that `ctx.follow` accepts. Default: all of them. */
  readonly follow?: FollowSpec
  /** Limits by host, shared by all nodes and all crawls; `'*'` stands for every other host. Default `{ '*': { parallel: 8 } }`. */
  readonly hosts?: Readonly<Record<string, LaneSpec>>
  /** The retries of pages by class of failure, and those of the seeds. Defaults: see `docs/crawl.md`. */
  readonly retry?: CrawlRetry
  /**
   * Recognises a page that is blocked although its status is a success. Such a page fails with class `blocked`. Default: only the status
   * decides.
   */
  readonly isBlocked?: (page: Page) => boolean
  readonly use?: readonly CrawlMiddleware<Ctx>[]
  readonly rows?: readonly RowMiddleware<Ctx>[]
  /** Downloaders by name, for steps and requests. */
  readonly downloaders?: Readonly<Record<string, Downloader | StreamDownloader>>
  /**
   * Called for a page that failed and has no retries left, before the page is stored as dead. May use the sinks and resources of the crawl,
   * and may take one minute. If the node dies before the end is stored, the page is tried again, and this function may be called again. Its
   * errors are logged. Default: no function.
   */
  readonly dead?: (page: DeadPage, ctx: DeadPageContext<Ctx>) => unknown
  /** Whether the response of a dead page is kept. Default `'body'`: it is kept, so that people can read it. */
  readonly keep?: { readonly dead?: 'body' | 'nothing' }
  readonly limits?: CrawlLimits
  /** The maximum number of dead pages with which a run still succeeds. Default 0. */
  readonly tolerate?: ItemTolerance
}

/** The options of a job that a crawl has as well. `retry` is not among them, because it has another meaning for a crawl. */
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
   * The requests that a run starts with: a list, or a function that returns them and may read config and window. They are stored in
   * transactions of 1,000. If the run is restarted, those already stored are not stored again.
   */
  readonly seeds:
    | readonly Seed<NoInfer<Step>>[]
    | ((ctx: JobContext<R, z.output<C>, S, WindowOf<W>>) => Seeds<NoInfer<Step>> | Promise<Seeds<NoInfer<Step>>>)
  readonly steps: Readonly<Record<Step, CrawlStep<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>>>>
}

/** The description of a crawl that is written as a class, whose seeds and steps are methods. */
export interface CrawlClassSpec<
  Step extends string = string,
  R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  S extends SinkMap = Record<never, never>,
  W extends WindowsSpec | undefined = WindowsSpec | undefined,
>
  extends CrawlJobOptions<R, C, S, W>, CrawlOptions<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>> {
  /** The names of the steps, for the compiler only: it then reports requests to any other step as errors. */
  readonly steps?: readonly Step[]
}

// The type parameters are erased, as for jobs, because the pipeline holds crawls of every type.
/* oxlint-disable typescript/no-explicit-any */
export type AnyCrawlSpec = CrawlSpec<any, any, any, any, any>
export type AnyCrawlContext = CrawlContext<any, any, any, any, any>
/* oxlint-enable typescript/no-explicit-any */
