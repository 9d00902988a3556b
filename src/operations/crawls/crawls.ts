import { isOneOf } from '../../errors-read.ts'
import { describe, isPikoError, PikoError } from '../../errors.ts'
import { CRAWL_LANES } from '../../job/job-extension.ts'
import type { JobRef } from '../../job/job-types.ts'
import type { RunState } from '../../run/run.ts'
import { optionsOf } from '../call-options.ts'
import { Items } from '../items/items.ts'
import { jobIdOf } from '../job-id.ts'
import type { Reach } from '../reach.ts'
import type { CrawlRef, HostFilter, PageFilter, PageReplay, TryOptions, TryRequest } from './crawl-options.ts'
import {
  type CrawlLane,
  crawlPageOf,
  type CrawlPages,
  type CrawlReplayed,
  type CrawlStatus,
  crawlStatusOf,
} from './crawl-status.ts'
import type { TriedPage } from './tried-page.ts'

/** How many of a crawl's newest runs are searched for a run with pages. */
const MAX_SEARCHED = 50
/** The maximum number of runs whose pages one replay queues again. */
const MAX_REPLAYED = 1_000
/** The states of runs whose pages can be queued again. */
const REPLAYABLE: readonly RunState[] = ['failed', 'running', 'cancelled']

type Parts = Pick<
  Reach,
  'store' | 'registry' | 'prepare' | 'resources' | 'changed' | 'locks' | 'shared' | 'caches' | 'trial'
>

/** `app.crawls`: the pages of crawls and their hosts. They are the items and lanes of `app.items`, in the terms of a crawl. */
export class Crawls {
  readonly #reach: () => Parts
  readonly #items: Items

  constructor(reach: () => Parts) {
    this.#reach = reach
    this.#items = new Items(reach)
  }

  /**
   * Returns how many pages of a run are in each state, its speed, its steps and its hosts.
   *
   * @param crawl the number of a run, or a crawl, which means its newest run with pages
   * @throws PikoError `JOB_UNKNOWN`, `RUN_UNKNOWN`; `ITEM_UNKNOWN` if there are no pages
   */
  async status(crawl: CrawlRef): Promise<CrawlStatus> {
    return crawlStatusOf(await this.#items.status(await this.#runOf('crawls.status', crawl)))
  }

  /** Lists pages of a run, ordered by id. @throws PikoError `JOB_UNKNOWN`, `ITEM_UNKNOWN`, `USAGE` */
  async items(crawl: CrawlRef, filter: PageFilter = {}): Promise<CrawlPages> {
    return this.#pages('crawls.items', crawl, optionsOf('crawls.items', filter))
  }

  /** Lists dead pages of a run with their errors, ordered by id. @throws PikoError `JOB_UNKNOWN`, `ITEM_UNKNOWN`, `USAGE` */
  async dead(crawl: CrawlRef, filter: Omit<PageFilter, 'state'> = {}): Promise<CrawlPages> {
    return this.#pages('crawls.dead', crawl, { ...optionsOf('crawls.dead', filter), state: 'dead' })
  }

  async #pages(call: string, crawl: CrawlRef, { step, host, ...filter }: PageFilter): Promise<CrawlPages> {
    const runId = await this.#runOf(call, crawl)
    const { items, next } = await this.#items.list(runId, { ...filter, ...itemFilter(step, host) })
    return { runId, pages: items.map(crawlPageOf), next }
  }

  /**
   * Returns dead pages (or skipped or cancelled ones) to the queue. If a page's step failed, its kept response is parsed again, without a
   * new request. A failed run becomes running again, and its window succeeds if its pages do.
   *
   * @param crawl the number of a run, or a crawl, which means its newest 1,000 running, failed and cancelled runs
   * @throws PikoError `JOB_UNKNOWN`, `RUN_UNKNOWN`, `CHANGE_REFUSED`; `USAGE` if the run has succeeded, if a later run
   * has executed its window, or if it was replayed and adds its items again
   */
  async replay(crawl: CrawlRef, filter: PageReplay = {}): Promise<CrawlReplayed> {
    const { step, host, ...rest } = optionsOf('crawls.replay', filter)
    const options = { ...rest, ...itemFilter(step, host) }
    if (typeof crawl === 'number') {
      const { items } = await this.#items.replay(crawl, options)
      return { pages: items, runs: items > 0 ? [crawl] : [], refused: [] }
    }
    const jobId = jobIdOf('app.crawls.replay', crawl)
    let pages = 0
    const runs: number[] = []
    const refused: CrawlReplayed['refused'][number][] = []
    for (const runId of await this.#unfinished(jobId)) {
      try {
        const { items } = await this.#items.replay(runId, options)
        pages += items
        if (items > 0) runs.push(runId)
      } catch (error) {
        // If one run is refused, the pages of the other runs are still queued.
        if (!isOneOf(['USAGE', 'RUN_UNKNOWN'], isPikoError(error) && error.code)) throw error
        refused.push({ runId, reason: isPikoError(error) ? error.message : '' })
      }
    }
    return { pages, runs, refused }
  }

  /** Returns the runs whose pages may be replayed, oldest first. */
  async #unfinished(jobId: string): Promise<number[]> {
    const { store } = this.#reach()
    await this.#assertKnown(jobId)
    const lists = await Promise.all(REPLAYABLE.map((state) => store.runs.list({ jobId, state, limit: MAX_REPLAYED })))
    const ids = lists.flat().map(({ id }) => id)
    return ids
      .toSorted((one, other) => other - one)
      .slice(0, MAX_REPLAYED)
      .toReversed()
  }

  /** Lists hosts with their pages, limits and circuit breakers, ordered by id. All crawls share them. */
  async lanes(filter: HostFilter = {}): Promise<CrawlLane[]> {
    return this.#items.lanes({ ...optionsOf('crawls.lanes', filter), scope: CRAWL_LANES })
  }

  /**
   * Pauses a host: no more of its pages are loaded on any node.
   *
   * @throws PikoError `ITEM_UNKNOWN`
   */
  async pause(host: string): Promise<{ readonly lanes: number }> {
    return this.#items.pause(host, { scope: CRAWL_LANES })
  }

  /**
   * Continues to load pages of a paused host.
   *
   * @throws PikoError `ITEM_UNKNOWN`
   */
  async resume(host: string): Promise<{ readonly lanes: number }> {
    return this.#items.resume(host, { scope: CRAWL_LANES })
  }

  /**
   * Loads one page, calls its step and stores nothing: rows are only returned, and transactions are rolled back. Other writes of the step,
   * such as those through a resource, are not undone. Robots.txt, sessions and proxies apply; limits of hosts and retries do not.
   *
   * @param crawl a crawl of this process, or its id
   * @throws PikoError `JOB_UNKNOWN`, `USAGE` naming every problem of the request, `CONFIG_INVALID` or `WINDOW_UNKNOWN`; a page that fails
   * is a result and throws no error
   */
  async try(crawl: JobRef, request: TryRequest, options: TryOptions = {}): Promise<TriedPage> {
    const reach = this.#reach()
    const job = reach.registry.get(jobIdOf('app.crawls.try', crawl))
    const { tryPage } = await import('./tried-page.ts')
    return tryPage(reach, job, request, optionsOf('crawls.try', options))
  }

  async #runOf(call: string, crawl: CrawlRef): Promise<number> {
    if (typeof crawl === 'number') return crawl
    const jobId = jobIdOf(`app.${call}`, crawl)
    await this.#assertKnown(jobId)
    const { store } = this.#reach()
    for (const { id } of await store.runs.list({ jobId, limit: MAX_SEARCHED })) {
      if (await store.items.newestFence(id)) return id
    }
    throw new PikoError(
      'ITEM_UNKNOWN',
      `no run of crawl ${describe(jobId)} has pages yet; piko run ${jobId} starts one`,
      {
        details: { jobId },
      },
    )
  }

  async #assertKnown(jobId: string): Promise<void> {
    const { store, registry } = this.#reach()
    if (registry.find(jobId) ?? (await store.jobs.find(jobId))) return
    // The job may have runs although no node has registered it: `piko run` also stores runs of such jobs.
    if ((await store.runs.list({ jobId, limit: 1 })).length > 0) return
    throw new PikoError('JOB_UNKNOWN', `the database has no crawl ${describe(jobId)}; piko jobs list shows all jobs`, {
      details: { jobId },
    })
  }
}

function itemFilter(step: string | undefined, host: string | undefined) {
  return { ...(step !== undefined && { kind: step }), ...(host !== undefined && { lane: host }) }
}
