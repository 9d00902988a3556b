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
import type { CrawlContext } from './crawl-context.ts'

/** Parses a page: writes rows, follows links. */
export type ParsePage<Ctx> = (page: Page, ctx: Ctx) => unknown

/** A step with options; a function alone is its `parse`. */
export interface StepSpec<Ctx = CrawlContext> {
  readonly parse: ParsePage<Ctx>
  /** Smaller pages of a host first, from −32,768 to 32,767. Default 0. */
  readonly priority?: number
  /** Longest time of one try, from the download until the step ends. Default `'5m'`. */
  readonly timeout?: Duration
  /** What each request of the step has unless it says otherwise. */
  readonly request?: RequestDefaults
  /** What loads the step's pages: the name of one of the crawl's `downloaders`, or a downloader. Default: HTTP. */
  readonly downloader?: string | Downloader | StreamDownloader
  /** Which links its pages follow. Default: the crawl's. */
  readonly follow?: FollowSpec
}

/** What a step has for each of its requests. */
export type RequestDefaults = Omit<CrawlRequest, 'url' | 'step' | 'data' | 'due' | 'dedup' | 'downloader' | 'priority'>

export type CrawlStep<Ctx = CrawlContext> = ParsePage<Ctx> | StepSpec<Ctx>

/** The requests that a run begins with. */
export type Seeds<Step extends string> = Iterable<Seed<Step>> | AsyncIterable<Seed<Step>>

/** A request, or its URL for a crawl with one step. */
export type Seed<Step extends string = string> = CrawlRequest<Step> | string | URL

/** Which requests are the same. */
export interface DedupSpec {
  /** Where a request is loaded once: within its run, for ever, or for a length of time. Default `'run'`. */
  readonly scope?: 'run' | 'job' | { readonly within: Duration }
  /** Query parameters that make no difference, such as {@link TRACKING_PARAMETERS}; `*` stands for any characters. Default: none. */
  readonly ignore?: readonly string[]
}

/** Bounds of a run and of its pages. */
export interface CrawlLimits {
  /** Most requests of a run; further ones are counted as skipped. Default: no limit. */
  readonly items?: number
  /** Most links between a seed and a page; deeper ones are counted as skipped. Default: no limit. */
  readonly depth?: number
  /** After this time since the seeds, pages that have not begun are skipped. Default: no limit. */
  readonly time?: Duration
  /** Largest body, after decompression: a number of bytes, or a text such as `'10MB'`. Default `'10MB'`. */
  readonly bytes?: number | `${number}${'KB' | 'MB' | 'GB'}`
  /** Whether private, loopback and link-local addresses may be asked. Default false. */
  readonly private?: boolean
}

/** Wraps the download of every page. Onion order: the first is the outermost. */
export type CrawlMiddleware<Ctx = CrawlContext> = (
  request: ReadyRequest,
  next: (request: ReadyRequest) => Promise<Page>,
  ctx: Ctx,
) => Promise<Page> | Page

/** Where a row goes. */
export interface RowTarget {
  /** The name of the sink in the crawl's `sinks`. */
  readonly sink: string
  /** The model or the route of the row. */
  readonly model: unknown
}

/** Wraps the write of every row to a sink. A row that it does not pass to `next` is left out. */
export type RowMiddleware<Ctx = CrawlContext> = (
  row: unknown,
  next: (row: unknown) => Promise<void>,
  target: RowTarget,
  ctx: Ctx,
) => Promise<void> | void

/** What a crawl has besides the options of a job, without its seeds and steps. */
export interface CrawlOptions<Ctx = CrawlContext> extends FetchSpec {
  readonly dedup?: DedupSpec
  /** Which requests `ctx.follow` takes. Default: all. */
  readonly follow?: FollowSpec
  /** Limits by host, over all nodes and all crawls; `'*'`: every other host. Default `{ '*': { parallel: 8 } }`. */
  readonly hosts?: Readonly<Record<string, LaneSpec>>
  /** Budgets by class of failure, and the retries of the seeds. */
  readonly retry?: CrawlRetry
  /** Recognises a page that says in words that it is blocked. Such a page counts as a failure of class `blocked`. */
  readonly isBlocked?: (page: Page) => boolean
  readonly use?: readonly CrawlMiddleware<Ctx>[]
  readonly rows?: readonly RowMiddleware<Ctx>[]
  /** Downloaders by name, for steps and requests. */
  readonly downloaders?: Readonly<Record<string, Downloader | StreamDownloader>>
  /** What stays of a dead page. Default `'body'`. */
  readonly keep?: { readonly dead?: 'body' | 'nothing' }
  readonly limits?: CrawlLimits
  /** How many pages may be dead while the run still succeeds. Default 0. */
  readonly tolerate?: ItemTolerance
}

/** The options of a job that a crawl shares; `retry` has another meaning. */
export type CrawlJobOptions<
  R extends ResourceMap,
  C extends z.ZodType,
  S extends SinkMap,
  W extends WindowsSpec | undefined,
> = Omit<JobSpec<R, C, S, W>, 'input' | 'output' | 'retry' | 'items' | 'limits' | 'tolerate'>

/** A developer's description of a crawl. */
export interface CrawlSpec<
  Step extends string = string,
  R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  S extends SinkMap = Record<never, never>,
  W extends WindowsSpec | undefined = WindowsSpec | undefined,
>
  extends CrawlJobOptions<R, C, S, W>, CrawlOptions<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>> {
  /** The requests of a run: a list, or a function that reads config and window. Stored in transactions of 1,000; a restart repeats none. */
  readonly seeds:
    | readonly Seed<NoInfer<Step>>[]
    | ((ctx: JobContext<R, z.output<C>, S, WindowOf<W>>) => Seeds<NoInfer<Step>> | Promise<Seeds<NoInfer<Step>>>)
  readonly steps: Readonly<Record<Step, CrawlStep<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>>>>
}

/** The description of a crawl that is a class, whose seeds and steps are methods. */
export interface CrawlClassSpec<
  Step extends string = string,
  R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  S extends SinkMap = Record<never, never>,
  W extends WindowsSpec | undefined = WindowsSpec | undefined,
>
  extends CrawlJobOptions<R, C, S, W>, CrawlOptions<CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>> {
  /** The names of its steps, for the compiler: requests to any other step are errors. */
  readonly steps?: readonly Step[]
}

// Erased types, as for jobs: the pipeline holds crawls of every shape.
/* eslint-disable @typescript-eslint/no-explicit-any */
export type AnyCrawlSpec = CrawlSpec<any, any, any, any, any>
export type AnyCrawlContext = CrawlContext<any, any, any, any, any>
/* eslint-enable @typescript-eslint/no-explicit-any */
