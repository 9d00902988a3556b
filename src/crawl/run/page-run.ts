import { propertyOf } from '../../errors-read.ts'
import { systemClock } from '../../clock.ts'
import { isList } from '../../options.ts'
import type { Answer, StreamMessage } from '../downloader.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { Fetched, Fetcher, FetchScope } from '../fetcher.ts'
import type { Page } from '../page.ts'
import { createPage } from '../page/create-page.ts'
import { newItem, type NewItem } from '../request/ready-request.ts'
import { MAX_URL_LENGTH } from '../request/request-checks.ts'
import type { CrawlRequest, ReadyRequest } from '../request/request.ts'
import type { CrawlPlan, StepPlan } from './crawl-plan.ts'
import { failureOf, isCrawlError } from './failures.ts'
import { addItems } from './add-items.ts'
import type { ItemPayload } from './item-payload.ts'
import { keptAnswer, keptBytes } from './kept-answer.ts'
import { type CrawlItemContext, PageContext } from './page-context.ts'
import { rowWriters } from './row-middleware.ts'

/** One try of an item: download, step, follow-ups. */
export class PageRun {
  readonly #plan: CrawlPlan
  readonly #step: StepPlan
  readonly #ctx: CrawlItemContext
  readonly #payload: ItemPayload
  readonly #fetcher: Fetcher
  readonly #followed: NewItem[] = []
  /** The page's final URL, once there is a page. */
  #url: string
  #answer: Answer | undefined
  #borrowed: Pick<Fetched, 'session' | 'release'> | undefined
  /** The bytes that an earlier try kept, from which the page is made. */
  #kept: Uint8Array | undefined
  /** Whether the step has said itself how the item ends. */
  #ending: 'commit' | 'skip' | 'later' | undefined

  constructor(plan: CrawlPlan, step: StepPlan, ctx: CrawlItemContext, payload: ItemPayload, fetcher: Fetcher) {
    this.#plan = plan
    this.#step = step
    this.#ctx = ctx
    this.#payload = payload
    this.#fetcher = fetcher
    this.#url = payload.request.url
  }

  /** @throws what ends the item otherwise than as done */
  async run(): Promise<void> {
    const ctx = this.#context()
    let outcome: 'done' | 'skipped' | FailureClass = 'done'
    try {
      const { request, until } = this.#payload
      if (until !== undefined && systemClock.now() > until) ctx.skip('time: the crawl has reached its time limit')
      if (this.#fetcher.streams(request)) await this.#stream(request, ctx)
      else await this.#page(request, ctx)
      if (this.#ending !== 'commit') await this.#store()
    } catch (thrown) {
      if (this.#ending !== undefined || this.#ctx.signal.aborted) {
        outcome = 'skipped'
        throw thrown
      }
      if (isCrawlError(thrown) && thrown.class === 'robots') {
        outcome = 'robots'
        this.#ctx.skip(`robots: ${thrown.message}`)
      }
      const failure = failureOf(thrown)
      outcome = failure.class
      if (isCrawlError(thrown)) this.#keepFailed(thrown)
      throw failure.error
    } finally {
      await this.#borrowed?.release(outcome)
    }
  }

  async #page(request: ReadyRequest, ctx: PageContext): Promise<void> {
    const page = await this.#load(request, ctx)
    this.#url = page.url
    if (this.#plan.isBlocked?.(page)) {
      throw new CrawlError(`the page of ${this.#step.name} is blocked`, {
        class: 'blocked',
        status: page.status,
        answer: this.#answer,
      })
    }
    this.#keepParsed()
    await this.#step.parse(page, ctx)
  }

  /** The page of a request, through the middleware. */
  #load(request: ReadyRequest, ctx: PageContext): Promise<Page> {
    const chain = this.#plan.use.reduceRight<(request: ReadyRequest) => Promise<Page>>(
      (next, middleware) => async (sent) => middleware(sent, next, ctx),
      (sent) => this.#download(sent),
    )
    return chain(request)
  }

  async #download(request: ReadyRequest): Promise<Page> {
    const { item } = this.#ctx
    const kept = keptAnswer(item.kept)
    if (kept?.keptFor === 'parse') {
      this.#kept = item.kept
      this.#answer = kept.answer
      this.#borrowed ??= { session: kept.session, release: () => Promise.resolve() }
    } else {
      // A middleware may ask for several pages; each gives back what it borrowed before the next one borrows.
      await this.#borrowed?.release('done')
      this.#borrowed = undefined
      const fetched = await this.#fetcher.fetch(request, this.#scope())
      this.#borrowed = fetched
      this.#answer = fetched.answer
      this.#ctx.countBytes(fetched.answer.bytes.byteLength)
    }
    return createPage(request, this.#answer, item.attempt)
  }

  /** Each message is a page of its own; what it leads to and the position in the stream are stored together. */
  async #stream(request: ReadyRequest, ctx: PageContext): Promise<void> {
    const { item } = this.#ctx
    let number = Number(item.position ?? 0)
    let stored = number
    let storedAt = systemClock.monotonic()
    const streamed = await this.#fetcher.stream(request, this.#scope(), number)
    this.#borrowed = streamed
    for await (const message of streamed.messages) {
      number += 1
      this.#ctx.countBytes(message.bytes.byteLength)
      await this.#step.parse(messagePage(request, message, item.attempt, number), ctx)
      if (number - stored < CHECKPOINT_MESSAGES && systemClock.monotonic() - storedAt < CHECKPOINT_MS) continue
      await this.#store()
      await this.#ctx.checkpoint(String(number))
      stored = number
      storedAt = systemClock.monotonic()
    }
  }

  #scope(): FetchScope {
    const { item, signal, log } = this.#ctx
    return { fleet: this.#ctx, signal, log, attempt: item.attempt, failures: item.tries }
  }

  /** Hands what the step has followed to the item, which stores it with its end. */
  async #store(): Promise<void> {
    const items = this.#followed.splice(0)
    if (items.length > 0) await addItems(this.#ctx.items, items, this.#payload)
  }

  /** Keeps the body before the step runs, so that a failed step or sink costs no second download. */
  #keepParsed(): void {
    if (!this.#plan.keepsBodies || !this.#answer) return
    const session = this.#borrowed?.session
    this.#ctx.keep(this.#kept ?? keptBytes({ keptFor: 'parse', answer: this.#answer, session }))
  }

  /** Keeps the answer of a failed download for people to look at. */
  #keepFailed({ answer }: CrawlError): void {
    if (this.#plan.keepsBodies) this.#ctx.keep(answer && keptBytes({ keptFor: 'look', answer }))
  }

  #context(): PageContext {
    const ctx = new PageContext(this.#ctx, this.#payload, {
      follow: (requests) => this.#follow(requests),
      skip: (reason) => {
        this.#ending = 'skip'
        return this.#ctx.skip(reason)
      },
      retryLater: (when) => {
        this.#ending = 'later'
        // A page that is not ready yet must be loaded again.
        this.#ctx.keep(undefined)
        return this.#ctx.retryLater(when)
      },
      commit: async (fn) => {
        await this.#store()
        const result = await this.#ctx.commit(fn)
        this.#ending = 'commit'
        return result
      },
    })
    const { rows } = this.#plan
    if (rows.length > 0) ctx.replaceSinks(rowWriters(this.#ctx.sinks, rows, ctx))
    return ctx
  }

  #follow(given: CrawlRequest | readonly CrawlRequest[]): number {
    const requests = isList(given) ? given : [given]
    const parent = { url: this.#url, step: this.#step.name, session: this.#session() }
    let taken = 0
    for (const request of requests) {
      // Sites generate longer and longer URLs by mistake; they are no error of the step.
      if (isTooLong(request)) continue
      const item = newItem(request, this.#plan.rules, parent)
      if (this.#step.follow(item.request.url, this.#payload.root) !== undefined) continue
      this.#followed.push(item)
      taken += 1
    }
    return taken
  }

  #session(): string | null | undefined {
    return this.#borrowed?.session ?? this.#payload.request.session
  }
}

/** After so many messages, or after this time, the position in a stream is stored. */
const CHECKPOINT_MESSAGES = 500
const CHECKPOINT_MS = 1_000

function messagePage(request: ReadyRequest, message: StreamMessage, attempt: number, number: number): Page {
  const answer: Answer = {
    url: request.url,
    status: 200,
    headers: {},
    bytes: message.bytes,
    ms: 0,
    isCached: false,
  }
  return createPage(request, answer, attempt, { number, isBinary: message.isBinary })
}

function isTooLong(request: unknown): boolean {
  const url = propertyOf(request, 'url')
  return (typeof url === 'string' || url instanceof URL) && String(url).length > MAX_URL_LENGTH
}
