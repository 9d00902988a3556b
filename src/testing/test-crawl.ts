import { type CallForm, readCall } from '../calls/call-checks.ts'
import { crawlOf, crawlSpecOf } from '../crawl/define/define-crawl.ts'
import type { ReadyRequest } from '../crawl/request/request.ts'
import { describe, PikoError } from '../errors.ts'
import { isObject } from '../errors-read.ts'
import type { PikoOptions } from '../app/piko-options.ts'
import type { ItemState } from '../item/item.ts'
import { anything, aTable } from '../options.ts'
import { isJobDefinition } from '../job/define-job.ts'
import { RunFailedError } from '../operations/runs/run-failed-error.ts'
import { jobsOf } from '../job/jobs-of.ts'
import type { AnyCrawlSpec } from '../crawl/define/crawl-spec.ts'
import type { WindowsSpec } from '../job/spec.ts'
import { type GivenPage, GivenPages } from './given-pages.ts'
import { recordedSinks, type RecordedRows } from './recorded-sinks.ts'
import { startTestApp } from './test-app.ts'

export interface TestCrawlOptions {
  /** The pages by their URLs. The response for any other URL is 404. */
  readonly pages: Readonly<Record<string, GivenPage>>
  /** The config of the run. Default: the config of the crawl. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The start of the window to crawl, if the crawl has windows. The window must already have ended. */
  readonly window?: Date | string
  readonly settings?: PikoOptions['settings']
}

const FORM: CallForm<TestCrawlOptions> = {
  call: 'testCrawl',
  checks: { pages: aTable, config: aTable, window: anything, settings: aTable },
  required: ['pages'],
  example: "{ pages: { 'https://shop.test/': '…' } }",
}

/** A request of the crawl, with its final state. */
export interface TestedItem {
  readonly step: string
  /** The method and the canonical URL. */
  readonly request: string
  readonly state: ItemState
  readonly depth: number
  readonly error: string | undefined
}

export interface TestedCrawl {
  /** The final state: `succeeded` or `failed`. */
  readonly state: string
  /** The requests, in the order in which they were stored. */
  readonly items: readonly TestedItem[]
  /** The rows for each sink, in the output form of its models. The sinks themselves did not receive them. */
  readonly rows: Readonly<RecordedRows>
  /** The requests that would have been sent, in order. */
  readonly requests: readonly ReadyRequest[]
}

/**
 * Runs a crawl with given pages and a new embedded store. No request is sent, and no sink is written. A crawl with more dead pages than it
 * tolerates does not make this call reject; its `state` is then `failed`.
 *
 * @param crawl a crawl of `defineCrawl`, or a class with `@crawl`
 * @throws PikoError `USAGE` for anything else; `RUN_FAILED` with the error of the seeds
 * @example
 * const { rows } = await testCrawl(shop, { pages: { 'https://shop.test/': '<a href="/p/1">…' } })
 */
export async function testCrawl(crawl: object, wanted: TestCrawlOptions): Promise<TestedCrawl> {
  const { pages = {}, config, window, settings } = readCall(FORM, {}, wanted)
  const spec = specOf(crawl)
  const given = new GivenPages(pages)
  const rows: RecordedRows = {}
  const changed: Readonly<Record<string, unknown>> = {
    ...(window === undefined && { cron: undefined, every: undefined, at: undefined }),
    sinks: recordedSinks(spec.sinks, rows),
    proxies: undefined,
    ...(spec.windows !== undefined && { windows: withoutCatchUp(spec.windows as WindowsSpec) }),
  }
  const tested = crawlOf({ ...spec, ...changed } as AnyCrawlSpec, () => Promise.resolve(given))
  await using app = await startTestApp({ jobs: tested, ...(settings && { settings }) })
  const options = { ...(config && { config }), ...(window !== undefined && { window }), wait: true } as const
  const run = await app.run(tested.id, options).catch((error: unknown) => {
    // A test may expect that a crawl fails because of its dead pages, so this is not an error.
    if (error instanceof RunFailedError && error.run.error?.code === 'ITEMS_DEAD') return error.run
    throw error
  })
  const items: TestedItem[] = []
  for (let after: number | undefined; ;) {
    const page = await app.items.list(run.id, { limit: 1_000, ...(after !== undefined && { after }) })
    items.push(
      ...page.items.map(({ kind, key, state, depth, error }) => ({
        step: kind,
        request: key,
        state,
        depth,
        error: error?.message,
      })),
    )
    if (page.next === undefined) break
    after = page.next
  }
  return { state: run.state, items, rows, requests: given.requests }
}

function withoutCatchUp(windows: WindowsSpec): WindowsSpec {
  return { ...windows, catchUp: 'none' }
}

function specOf(crawl: object): AnyCrawlSpec {
  const definition = isJobDefinition(crawl) ? crawl : isObject(crawl) ? jobsOf(crawl)[0] : undefined
  const spec = definition && crawlSpecOf(definition)
  if (spec) return spec
  throw new PikoError(
    'USAGE',
    `testCrawl got ${describe(crawl)}; expected a crawl that defineCrawl returned, or a class with @crawl`,
  )
}
