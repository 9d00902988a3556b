import { chainOf, propertyOf } from '../../errors-read.ts'
import type { Item } from '../../item/item.ts'
import type { PageTrial, TriedAnswer, TriedFollow, TrialReport } from '../../job/job-extension.ts'
import type { Answer } from '../downloader.ts'
import type { LinkRefusal } from '../link/link-filter.ts'
import { type NewItem, newItem } from '../request/ready-request.ts'
import { payloadOf } from './add-items.ts'
import type { CrawlPlan, StepPlan } from './crawl-plan.ts'
import { isCrawlError } from './failures.ts'
import { type ItemPayload, laneOf } from './item-payload.ts'
import type { CrawlItemContext } from './page-context.ts'
import { PageRun } from './page-run.ts'
import type { PageWatcher } from './page-watcher.ts'

/** The maximum number of followed requests in a report. */
const MAX_FOLLOWS = 1_000
/** The maximum number of messages that a trial reads from a stream. */
const MAX_MESSAGES = 10
/** The maximum number of requests to keep in memory to find duplicates. */
const MAX_COMPARED = 100_000
const SHOWN_CHARACTERS = 100

/** Prepares the trial of a request. @throws PikoError `USAGE` naming every problem of the request */
export function trialOf(plan: CrawlPlan, request: unknown): PageTrial {
  const given = typeof request === 'string' || request instanceof URL ? { url: request } : request
  const item = newItem(given, plan.rules, undefined)
  // `newItem` has checked that the step exists.
  return new TriedPage(plan, plan.steps.get(item.request.step) as StepPlan, item)
}

/** Loads and parses a request without storing anything. */
class TriedPage implements PageTrial, PageWatcher {
  readonly kind: string
  readonly key: string
  readonly lane: string
  readonly priority: number
  readonly data: ItemPayload
  readonly #plan: CrawlPlan
  readonly #step: StepPlan
  readonly #seen = new Set<string>()
  readonly #follows: TriedFollow[] = []
  #followed = 0
  #answer: Answer | undefined

  constructor(plan: CrawlPlan, step: StepPlan, item: NewItem) {
    this.#plan = plan
    this.#step = step
    this.kind = step.name
    this.key = item.key
    this.lane = laneOf(item.request.url)
    this.priority = item.priority
    this.data = payloadOf(item, undefined)
    this.#seen.add(identityOf(item))
  }

  async run(_item: Item, ctx: CrawlItemContext): Promise<void> {
    const fetcher = await this.#plan.fetcher()
    try {
      await new PageRun(this.#plan, this.#step, ctx, this.data, fetcher, this).run()
    } catch (thrown) {
      const failed = chainOf(thrown).find(isCrawlError)
      this.#answer ??= failed?.answer
      throw thrown
    }
  }

  report(): TrialReport {
    return { answer: this.#answer && triedAnswer(this.#answer), follows: this.#follows, followed: this.#followed }
  }

  answered(answer: Answer): void {
    this.#answer = answer
  }

  followed(item: NewItem, refusal: LinkRefusal | undefined): void {
    const identity = identityOf(item)
    const isKnown = item.isFiltered && this.#seen.has(identity)
    if (refusal === undefined && this.#seen.size < MAX_COMPARED) this.#seen.add(identity)
    this.#add({ step: item.request.step, request: item.key, left: refusal ?? (isKnown ? 'duplicate' : undefined) })
  }

  tooLong(request: unknown): void {
    const url = String(propertyOf(request, 'url')).slice(0, SHOWN_CHARACTERS)
    const step = propertyOf(request, 'step')
    this.#add({ step: typeof step === 'string' ? step : this.#step.name, request: `${url}…`, left: 'length' })
  }

  hasEnough(messages: number): boolean {
    return messages >= MAX_MESSAGES
  }

  #add(follow: TriedFollow): void {
    this.#followed += 1
    if (this.#follows.length < MAX_FOLLOWS) this.#follows.push(follow)
  }
}

/** Returns a string that is the same for all requests that would be the same item. */
function identityOf({ request, key }: NewItem): string {
  return `${request.step} ${key}`
}

function triedAnswer({ url, status, headers, bytes, ms, isCached }: Answer): TriedAnswer {
  return { url, status, type: headers['content-type'], bytes: bytes.byteLength, ms, isCached }
}
