// Long because one try of a page has many steps, from the download to the stored result.
import { chainOf, describe, isObject, propertyOf } from '../../errors-read.ts'
import { isPikoError, PikoError } from '../../errors.ts'
import { systemClock } from '../../clock.ts'
import { isList } from '../../options.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { Answer, StreamMessage } from '../downloader.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { Fetched, Fetcher, FetchFleet, FetchScope } from '../fetcher.ts'
import type { Page } from '../page.ts'
import { createPage } from '../page/create-page.ts'
import { PROXY_RESOURCE } from '../proxies/proxy-spec.ts'
import { OutOfTurn } from '../robots/robots.ts'
import { newItem, type NewItem } from '../request/ready-request.ts'
import { isTooLong } from '../request/request-checks.ts'
import type { CrawlRequest, ReadyRequest } from '../request/request.ts'
import type { CrawlPlan, StepPlan } from './crawl-plan.ts'
import { failureOf, isCrawlError } from './failures.ts'
import { addItems } from './add-items.ts'
import type { ItemPayload } from './item-payload.ts'
import { keptAnswer, keptBytes } from './kept-answer.ts'
import { type CrawlItemContext, PageContext } from './page-context.ts'
import type { PageWatcher } from './page-watcher.ts'
import { rowWriters } from './row-middleware.ts'

/** One try of a page: the download, the call to the step, and the requests that the step follows. */
export class PageRun {
  readonly #plan: CrawlPlan
  readonly #step: StepPlan
  readonly #ctx: CrawlItemContext
  readonly #payload: ItemPayload
  readonly #fetcher: Fetcher
  readonly #watcher: PageWatcher | undefined
  readonly #followed: NewItem[] = []
  /** The URL of the page after redirects; before the download, the requested URL. */
  #url: string
  #answer: Answer | undefined
  #borrowed: Pick<Fetched, 'session' | 'release'> | undefined
  /** The bytes that an earlier try kept; undefined if this try does not use them. */
  #kept: Uint8Array | undefined
  /** How the step itself has ended the item; undefined if it has not. */
  #ending: 'commit' | 'skip' | 'later' | undefined
  /** How many responses this try has loaded. A middleware may load several. */
  #downloads = 0
  /** Whether the step was called with the page. */
  #isParsed = false
  /** The number of the current message of a stream. */
  #message: number | undefined
  /** Whether the current message has been committed. */
  #isMessageStored = false
  /** Errors of Piko's own database and locks. They must not count as failures of the page. */
  readonly #faults = new WeakSet<object>()
  /** The errors that `lane.turn` has thrown. They must not count as failures of the page. */
  readonly #leaves = new WeakSet<object>()

  constructor(
    plan: CrawlPlan,
    step: StepPlan,
    ctx: CrawlItemContext,
    payload: ItemPayload,
    fetcher: Fetcher,
    watcher?: PageWatcher,
  ) {
    this.#plan = plan
    this.#step = step
    this.#ctx = ctx
    this.#payload = payload
    this.#fetcher = fetcher
    this.#watcher = watcher
    this.#url = payload.request.url
  }

  /** Runs the try. @throws if the item does not end as done: its failure, or what `skip` or `retryLater` throws */
  async run(): Promise<void> {
    const ctx = this.#context()
    let outcome: 'done' | 'skipped' | FailureClass = 'done'
    // Until a response arrives, the duration of this item shows nothing about the speed of its host.
    this.#ctx.lane.measured(undefined)
    try {
      const { request } = this.#payload
      if (this.#ctx.elapsedMs > (this.#plan.timeLimitMs ?? Infinity))
        ctx.skip('time: the crawl has reached its time limit')
      if (this.#fetcher.streams(request)) await this.#stream(request, ctx)
      else await this.#page(request, ctx)
      if (this.#ending !== 'commit') await this.#store()
    } catch (thrown) {
      if (this.#ending !== undefined || this.#ctx.signal.aborted) {
        outcome = 'skipped'
        throw thrown
      }
      // With `retryAfterMs`, robots.txt could not be read, so the page is tried again later. Without it, robots.txt disallows the page.
      if (isCrawlError(thrown) && thrown.class === 'robots' && thrown.retryAfterMs === undefined) {
        outcome = 'robots'
        this.#ctx.skip(`robots: ${thrown.message}`)
      }
      if (thrown instanceof OutOfTurn) {
        outcome = 'skipped'
        this.#ctx.retryLater(TURN_PAUSE)
      }
      if (this.#isFault(thrown)) {
        outcome = 'skipped'
        this.#ctx.retryLater(FAULT_PAUSE)
      }
      const leave = chainOf(thrown).find((one): one is Error => one instanceof Error && this.#leaves.has(one))
      if (leave) {
        outcome = 'skipped'
        throw leave
      }
      const failure = failureOf(thrown)
      outcome = failure.class
      // After an error of the step, for example of page.json(), the next try parses the kept body. Only an error of class `blocked` causes
      // a new download.
      if (isCrawlError(thrown) && (!this.#isParsed || thrown.class === 'blocked')) this.#keepFailed(thrown)
      throw failure.error
    } finally {
      await this.#borrowed?.release(outcome)
    }
  }

  async #page(request: ReadyRequest, ctx: PageContext): Promise<void> {
    const page: unknown = await this.#load(request, ctx)
    if (!isPage(page))
      throw new PikoError(
        'USAGE',
        `a middleware in \`use\` returned ${describe(page)}; expected a page, such as await next(request)`,
      )
    this.#url = page.url
    if (this.#plan.isBlocked?.(page)) {
      throw new CrawlError(`isBlocked recognised the page of step "${this.#step.name}" as blocked`, {
        class: 'blocked',
        status: page.status,
        answer: this.#answer,
      })
    }
    this.#keepParsed()
    await this.#step.parse(page, ctx)
  }

  /** Loads the page of a request through the middleware. */
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
      // A middleware may load several pages. Each page's session and proxy are released before the next page needs some.
      await this.#borrowed?.release('done')
      this.#borrowed = undefined
      const fetched = await this.#fetcher.fetch(request, this.#scope())
      this.#downloads += 1
      this.#borrowed = fetched
      this.#answer = fetched.answer
      this.#watcher?.answered(fetched.answer)
      if (!fetched.answer.isCached) this.#ctx.lane.measured(fetched.answer.ms)
      this.#ctx.countBytes(fetched.answer.bytes.byteLength)
    }
    return createPage(request, this.#answer, item.attempt)
  }

  /** Calls the step for each message. The position in the stream is stored together with the requests that the step follows. */
  async #stream(request: ReadyRequest, ctx: PageContext): Promise<void> {
    const { item } = this.#ctx
    let number = Number(item.position ?? 0)
    let stored = number
    let storedAt = systemClock.monotonic()
    const streamed = await this.#fetcher.stream(request, this.#scope(), number)
    this.#borrowed = streamed
    const handled = async (): Promise<void> => {
      if (number > stored) await this.#checkpoint(number)
    }
    for await (const message of this.#untilBroken(streamed.messages, handled)) {
      number += 1
      this.#message = number
      this.#isMessageStored = false
      this.#ctx.countBytes(message.bytes.byteLength)
      await this.#step.parse(messagePage(request, message, item.attempt, number), ctx)
      if (this.#watcher?.hasEnough(number)) return
      if (number - stored < CHECKPOINT_MESSAGES && systemClock.monotonic() - storedAt < CHECKPOINT_MS) continue
      await this.#checkpoint(number)
      stored = number
      storedAt = systemClock.monotonic()
    }
  }

  /**
   * Yields the messages. If their connection breaks, calls `handled` to store the position, and then throws the error: a new connection may
   * not bring the same messages again.
   */
  async *#untilBroken(
    messages: AsyncIterable<StreamMessage>,
    handled: () => Promise<void>,
  ): AsyncGenerator<StreamMessage> {
    try {
      yield* messages
    } catch (thrown) {
      if (!this.#ctx.signal.aborted) await handled()
      throw thrown
    }
  }

  async #checkpoint(number: number, fn?: (trx: SqlExecutor) => Promise<unknown>): Promise<void> {
    await this.#store()
    await this.#own(() => this.#ctx.checkpoint(String(number), fn))
  }

  /** Calls a function that uses Piko's own database or locks. If it fails because of them, records the error as Piko's own. */
  async #own<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (thrown) {
      if (isObject(thrown) && isOwnFault(thrown)) this.#faults.add(thrown)
      throw thrown
    }
  }

  #isFault(thrown: unknown): boolean {
    return chainOf(thrown).some((one) => isObject(one) && this.#faults.has(one))
  }

  #scope(): FetchScope {
    const ctx = this.#ctx
    const { item, signal } = ctx
    return {
      ...{ fleet: this.#fleet(), signal, attempt: item.attempt, failures: item.tries },
      proxies: ctx.resources[PROXY_RESOURCE],
      // Created on first use, because most downloads log nothing.
      get log() {
        return ctx.log
      },
    }
  }

  /**
   * Returns the parts of the context that all nodes share. Their errors are recorded as Piko's own, because a downloader's errors may look
   * the same.
   */
  #fleet(): FetchFleet {
    const ctx = this.#ctx
    const { lane } = ctx
    return {
      lane: {
        name: lane.name,
        spacingMs: lane.spacingMs,
        turn: async (options) => {
          try {
            return await lane.turn(options)
          } catch (thrown) {
            if (isObject(thrown)) this.#leaves.add(thrown)
            throw thrown
          }
        },
        note: (name, load) => this.#own(() => lane.note(name, load)),
        counts: (isOfLane) => lane.counts(isOfLane),
        measured: (ms, options) => lane.measured(ms, options),
      },
      state: (pool, options) => this.#own(() => ctx.state(pool, options)),
      score: (group, name, outcome) => ctx.score(group, name, outcome),
      scores: (group) => this.#own(() => ctx.scores(group)),
    }
  }

  /** Passes the requests to the item, which stores them in the same transaction as its end or its next checkpoint. */
  async #store(): Promise<void> {
    const items = this.#followed.splice(0)
    if (items.length > 0) await addItems(this.#ctx.items, items, this.#payload.root)
  }

  /** Keeps the body before the step runs, so that a failure of the step or a sink does not cause another download. */
  #keepParsed(): void {
    this.#isParsed = true
    // A body that an earlier try kept is still stored, so it is not kept again.
    if (!this.#plan.keepsBodies || !this.#answer || this.#kept) return
    const session = this.#borrowed?.session
    // If a middleware loaded several pages, only the last response is known here. The next try must not use it for all requests.
    const keptFor = this.#downloads > 1 ? 'look' : 'parse'
    const { bytes, ...head } = this.#answer
    // The kept bytes are created only if the page fails, which is rare. The body is copied now, because the step may transfer it to a
    // thread.
    const copy = Buffer.from(bytes)
    this.#ctx.keep(() => keptBytes({ keptFor, answer: { ...head, bytes: copy }, session }))
  }

  /** Keeps the response of a failed download, so that people can read it. */
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
        // The step has asked for a later try, which must download the page again.
        this.#ctx.keep(undefined)
        return this.#ctx.retryLater(when)
      },
      commit: (fn) => this.#commit(fn),
    })
    const { rows } = this.#plan
    if (rows.length > 0) ctx.replaceSinks(rowWriters(this.#ctx.sinks, rows, ctx))
    return ctx
  }

  /**
   * Stores what `fn` writes. In a stream, the position of the message is stored in the same transaction, and the stream continues.
   * Otherwise the end of the page is stored in the same transaction.
   */
  async #commit<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T> {
    const message = this.#message
    if (message !== undefined) {
      if (this.#isMessageStored) throw usage('commit was called twice for one message; call it once for each message')
      let value: T | undefined
      await this.#checkpoint(message, async (trx) => {
        value = await fn(trx)
      })
      this.#isMessageStored = true
      return value as T
    }
    await this.#store()
    await this.#giveBack()
    const result = await this.#own(() => this.#ctx.commit(fn))
    this.#ending = 'commit'
    return result
  }

  /** Releases the session before the end of the item is stored, so that this end is stored together with the session's new cookies. */
  async #giveBack(): Promise<void> {
    const borrowed = this.#borrowed
    this.#borrowed = borrowed && { session: borrowed.session, release: () => Promise.resolve() }
    await borrowed?.release('done')
  }

  #follow(given: CrawlRequest | readonly CrawlRequest[]): number {
    if (this.#ending === 'commit' || this.#isMessageStored)
      throw usage(
        'follow was called after ctx.commit, which has already stored the followed requests; call follow before commit',
      )
    const requests = isList(given) ? given : [given]
    const parent = { url: this.#url, step: this.#step.name, session: this.#session() }
    let taken = 0
    for (const request of requests) {
      // Some sites mistakenly generate links that get longer with each page. Such a link is not an error of the step.
      if (isTooLong(request)) {
        this.#watcher?.tooLong(request)
        continue
      }
      const item = newItem(request, this.#plan.rules, parent)
      const refusal = this.#step.follow(item.request.url, this.#payload.root)
      this.#watcher?.followed(item, refusal)
      if (refusal !== undefined) continue
      this.#followed.push(item)
      taken += 1
    }
    return taken
  }

  #session(): string | null | undefined {
    return this.#borrowed?.session ?? this.#payload.request.session
  }
}

function isPage(value: unknown): value is Page {
  return isObject(value) && typeof propertyOf(value, 'url') === 'string' && 'bytes' in value
}

/** The position in a stream is stored after this many messages, or after the number of milliseconds below. */
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

/** Whether an error comes from Piko's own database or locks. The page is then simply tried again. */
function isOwnFault(thrown: object): boolean {
  if (isCrawlError(thrown)) return false
  const fault = databaseFault(thrown)
  return fault === 'outage' || fault === 'contention' || OWN_FAULTS.some((code) => isPikoError(thrown, code))
}

const OWN_FAULTS = ['LOCK_BUSY', 'LOCK_LOST', 'LEASE_LOST', 'STOPPED'] as const
/** How long a page waits for its next try after an error of Piko's own database or locks. */
const FAULT_PAUSE = '2s'
/** How long a page waits if its start time was assigned before the delay of its host was known. */
const TURN_PAUSE = '500ms'

function usage(problem: string): PikoError {
  return new PikoError('USAGE', `ctx.${problem}`)
}
