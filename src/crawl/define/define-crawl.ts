import type { z } from 'zod'
import { isObject } from '../../errors-read.ts'
import { Faults } from '../../job/faults.ts'
import { defineJob } from '../../job/define-job.ts'
import { orGathered } from '../../job/gathering.ts'
import type { AnyItemKinds, DeadContext, DeadItem, ItemLimits } from '../../job/items/item-kind.ts'
import { CRAWL_LANES, type JobExtension } from '../../job/job-extension.ts'
import type { SpecTypes } from '../../job/job-types.ts'
import type { CheckedLiterals } from '../../job/spec-literals.ts'
import type { AnyJobSpec, JobDefinition, WindowsSpec } from '../../job/spec.ts'
import { isList } from '../../options.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import { durationMs } from '../../time/duration.ts'
import { budgetsOf, freshOf, seedsRetryOf } from '../run/failure-policy.ts'
import type { CrawlDownloaders, Fetcher } from '../fetcher.ts'
import { PROXY_RESOURCE } from '../proxies/proxy-spec.ts'
import type { CrawlPlan } from '../run/crawl-plan.ts'
import { type ItemPayload, laneOf } from '../run/item-payload.ts'
import { OpenFetcher } from '../run/open-fetcher.ts'
import type { SeedContext } from '../run/seeding.ts'
import type { CrawlItemContext } from '../run/page-context.ts'
import { bytesOf } from './crawl-checks.ts'
import type { AnyCrawlSpec, CrawlLimits, CrawlSpec } from './crawl-spec.ts'
import { dedupOf, hostsOf, type ReadCrawl, readCrawl, throwProblems } from './read-crawl.ts'

const MAX_BYTES = 10_000_000

let loaded: typeof import('../run/runtime.ts') | undefined
/**
 * Imported when the first run or page of a crawl begins, because most processes that register a crawl only list or start it. The module is
 * kept in a variable, because each `import()` takes time.
 */
const runtime = async () => (loaded ??= await import('../run/runtime.ts'))

/**
 * Defines a crawl, which is a job whose runs load pages. A run starts with its `seeds`. Each page is an item, which any node may load and
 * parse. The end of a page is stored together with the requests that its step followed. The run ends when all its pages have ended.
 *
 * @throws PikoError `JOB_INVALID`, `SCHEDULE_INVALID` or `DURATION_INVALID`: one error that names every problem
 * @example
 * export const shop = defineCrawl({
 *   id: 'shop',
 *   seeds: ['https://shop.test/'],
 *   steps: { page: (page, ctx) => void ctx.follow(page.links().map((url) => ({ url }))) },
 * })
 */
export function defineCrawl<
  Step extends string,
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
  const Zone extends string = string,
  const Cron extends string = string,
>(
  spec: CrawlSpec<Step, R, C, S, W> & CheckedLiterals<Zone, Cron>,
): JobDefinition<SpecTypes<C, W, z.ZodType, undefined>> {
  return crawlOf(spec as unknown as AnyCrawlSpec)
}

/** The specs of this process's crawls. Tests use them to define the same crawls with given pages instead of real downloads. */
const specs = new WeakMap<object, AnyCrawlSpec>()

/** Returns the spec of a crawl; undefined for a job that is not a crawl. */
export function crawlSpecOf(definition: object): AnyCrawlSpec | undefined {
  return specs.get(definition)
}

/**
 * Defines a crawl from a spec with erased type parameters.
 *
 * @param open opens a test's fetcher; default: opens the fetcher that sends real requests
 */
export function crawlOf(spec: AnyCrawlSpec, open?: () => Promise<Fetcher>): JobDefinition<never> {
  const read = readCrawl(spec)
  const fetcher = new OpenFetcher(open ?? (() => openFetcher(read)))
  const plan = planOf(read, () => fetcher.get())
  const job = orGathered(
    () => defined(read, plan),
    () => defineJob({ id: 'wrong' }, () => {}),
  )
  const extension: JobExtension = {
    keepOpen: () => fetcher.hold(),
    trial: async (request) => (await runtime()).trialOf(plan, request),
  }
  const definition = Object.freeze({ ...job, extension })
  specs.set(definition, spec)
  return definition as JobDefinition<never>
}

/** Creates the job of a crawl. @throws PikoError that names all problems, of the crawl's own options and of the job's options */
function defined(read: ReadCrawl, plan: CrawlPlan): JobDefinition {
  const faults = new Faults()
  faults.gather(() => throwProblems(read.id, read.problems), undefined)
  const definition = faults.gather(
    () => defineJob(jobSpecOf(read, plan), async (ctx: SeedContext) => (await runtime()).seed(plan, ctx)),
    undefined,
  )
  faults.throwIfAny()
  return definition as JobDefinition
}

function planOf(read: ReadCrawl, fetcher: () => Promise<Fetcher>): CrawlPlan {
  const { dedup, use, rows, isBlocked, keep, limits } = read.options
  return {
    id: read.id,
    seeds: read.seeds,
    steps: read.steps,
    rules: { crawl: read.id, steps: read.steps, ignore: dedup?.ignore ?? [] },
    use: use ?? [],
    rows: rows ?? [],
    isBlocked,
    keepsBodies: keep?.dead !== 'nothing',
    timeLimitMs: limits?.time === undefined ? undefined : durationMs(limits.time),
    fetcher,
  }
}

async function openFetcher({ id, options, steps }: ReadCrawl): Promise<Fetcher> {
  const { createFetcher } = await import('../fetch/create-fetcher.ts')
  await (await import('../page/cheerio.ts')).prepareCheerio()
  const { limits, retry = {} } = options
  return createFetcher({
    ...options,
    crawl: id,
    fresh: freshOf(retry),
    downloaders: { byName: { ...options.downloaders, ...ownDownloaders(steps) }, default: 'http' },
    limits: { bytes: bytesOf(limits?.bytes) ?? MAX_BYTES, private: limits?.private ?? false },
  })
}

function ownDownloaders(steps: ReadCrawl['steps']): CrawlDownloaders['byName'] {
  const own: Record<string, CrawlDownloaders['byName'][string]> = {}
  for (const step of steps.values()) if (step.own && step.downloader !== undefined) own[step.downloader] = step.own
  return own
}

function jobSpecOf(read: ReadCrawl, plan: CrawlPlan): AnyJobSpec {
  const { options, steps, job } = read
  const { limits, tolerate, dead, proxies, retry = {} } = options
  const kinds = [...steps.values()].map((step) => [
    step.name,
    {
      run: async (_: unknown, ctx: CrawlItemContext) => (await runtime()).runPage(plan, step, ctx),
      ...(dead && {
        dead: async (item: DeadItem<ItemPayload>, ctx: DeadContext) =>
          dead((await runtime()).deadPage(item), ctx as never),
      }),
      lane: ({ request }: ItemPayload) => laneOf(request.url),
      lanes: hostsOf(options),
      laneScope: CRAWL_LANES,
      retry: budgetsOf(retry),
      priority: step.priority,
      // A page takes its turn when its request is sent.
      turn: 'call',
      timeout: step.timeout,
      dedup: dedupOf(options),
      // Loading these takes about a second. No page begins before they are loaded.
      prepare: () => Promise.all([runtime(), plan.fetcher()]),
    },
  ])
  const isWhole = kinds.length > 0
  return {
    ...job,
    ...(typeof proxies === 'function' && { resources: withProxies(job['resources'], proxies) }),
    retry: seedsRetryOf(retry),
    ...(isWhole && { items: Object.fromEntries(kinds) as AnyItemKinds }),
    ...(isWhole && tolerate !== undefined && { tolerate }),
    ...(isWhole && limits && { limits: itemLimitsOf(limits) }),
  } as AnyJobSpec
}

/** Adds the proxies' class to the resources, so that each page borrows a value of it. Wrong resources are returned unchanged. */
function withProxies(resources: unknown, proxies: unknown): unknown {
  if (resources !== undefined && (!isObject(resources) || isList(resources))) return resources
  return { ...resources, [PROXY_RESOURCE]: proxies }
}

function itemLimitsOf({ items, depth }: CrawlLimits): ItemLimits {
  return { ...(items !== undefined && { items }), ...(depth !== undefined && { depth }) }
}
