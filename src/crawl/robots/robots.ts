import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { systemClock } from '../../clock.ts'
import { headline } from '../../errors-read.ts'
import type { ItemLane, LaneNote } from '../../job/items/item-context.ts'
import { CrawlError } from '../crawl-error.ts'
import type { DownloadLimits } from '../downloader.ts'
import type { HttpLoader, LoadScope } from '../fetch/http-loader.ts'
import type { ReadyRequest } from '../request/request.ts'
import { productToken, readAnswer, type RobotsAnswer, RobotsRules, storedAnswer } from './robots-rules.ts'

/** RFC 9309, section 2.5: a parser must read at least this much. */
const MAX_ROBOTS_BYTES = 500 * 1_024
const MAX_REDIRECTS = 5
const ROBOTS_TIMEOUT_MS = 30_000
const VALID_MS = 24 * 3_600_000
/** How long nothing is allowed before a robots.txt that could not be read is asked for again. */
const UNREACHABLE_MS = 30_000
const MAX_KEPT_HOSTS = 1_000
const MAX_KEPT_BYTES = 50_000_000
/** A page that waited longer has lost its place in time. */
const WAITED_MS = 50
/** Pages that got their places before the delay of the host was known are this old at most. */
const LEARNING_MS = 10_000

export interface RobotsOptions {
  readonly userAgent: string
  readonly loader: HttpLoader
  /** Those of the crawl; of them, the size of a body does not apply. */
  readonly limits: DownloadLimits
}

/** Who asks. */
export interface RobotsAsker {
  readonly lane: ItemLane
  /** The origin whose lane it is. Its `crawl-delay` is that of the lane. */
  readonly origin: string
  readonly scope: Pick<LoadScope, 'signal' | 'proxy'>
}

interface Kept {
  readonly answer: Omit<RobotsAnswer, 'text'>
  readonly rules: RobotsRules | undefined
  /** When this process has read it, by its monotonic clock. */
  readonly since: number
}

/** Thrown for a page whose place in time is no longer right. It must return to the queue and take another one. */
export class OutOfTurn extends Error {
  constructor(origin: string) {
    super(`the page waited for ${origin}/robots.txt, and takes a new place`)
    this.name = 'OutOfTurn'
  }
}

/**
 * Asks hosts what a crawler may load (RFC 9309). A robots.txt is loaded once a day by one node of the fleet, and kept with the host's lane.
 * With a 4xx everything is allowed. With a 5xx, or without an answer, nothing is, for half a minute.
 */
export class Robots {
  readonly #options: RobotsOptions
  readonly #kept = new LRUCache<string, Kept>({
    max: MAX_KEPT_HOSTS,
    maxSize: MAX_KEPT_BYTES,
    sizeCalculation: ({ rules }) => rules?.bytes ?? 1,
  })

  constructor(options: RobotsOptions) {
    this.#options = options
  }

  /**
   * @throws CrawlError of class `robots` if the URL may not be loaded, or not yet: then it has a `retryAfterMs`. Of class `network` if the host
   * of its robots.txt did not answer
   * @throws OutOfTurn
   */
  async admit(url: string, asker: RobotsAsker): Promise<void> {
    const { origin } = new URL(url)
    const asked = performance.now()
    const kept = await this.#rulesOf(origin, asker)
    const { answer, rules } = kept
    if (answer.unreachable !== undefined)
      throw new CrawlError(`${origin}/robots.txt ${answer.unreachable}, so nothing of the host may be loaded yet`, {
        class: answer.unreachable.startsWith('answered') ? 'robots' : 'network',
        retryAfterMs: Math.max(1_000, answer.until - systemClock.now()),
      })
    if (rules && !rules.isAllowed(url)) throw new CrawlError(`${origin}/robots.txt disallows it`, { class: 'robots' })
    if (origin === asker.origin && isOutOfTurn(kept, asker.lane.spacingMs, asked)) throw new OutOfTurn(origin)
  }

  async #rulesOf(origin: string, asker: RobotsAsker): Promise<Kept> {
    const known = this.#kept.get(origin)
    if (known && known.answer.until > systemClock.now()) return known
    const stored = await asker.lane.note(noteName(origin, asker), (signal) => this.#note(origin, asker, signal))
    const { text, ...answer } = readAnswer(stored)
    const rules = this.#rules(origin, text)
    const kept = { answer, rules, since: performance.now() }
    this.#kept.set(origin, kept)
    await this.#slower(origin, asker, kept)
    return kept
  }

  #rules(origin: string, text: string | null): RobotsRules | undefined {
    return text === null ? undefined : new RobotsRules(origin, text, this.#options.userAgent)
  }

  async #note(origin: string, asker: RobotsAsker, signal: AbortSignal): Promise<LaneNote> {
    const answer = await this.#load(origin, { ...asker.scope, signal })
    const isOwn = origin === asker.origin && answer.unreachable === undefined
    const delayMs = this.#rules(origin, answer.text)?.delayMs ?? 0
    return {
      text: storedAnswer(isOwn ? { ...answer, delayMs } : answer),
      ttl: leftOf(answer),
      // A robots.txt that asks for no delay any more ends the one before.
      ...(isOwn && { spacing: `${Math.ceil(delayMs)}ms` }),
    }
  }

  /** Another crawler may have loaded a robots.txt that asks this one for a longer delay: the lane gets it once. */
  async #slower(origin: string, asker: RobotsAsker, { answer, rules }: Kept): Promise<void> {
    const delayMs = rules?.delayMs ?? 0
    if (origin !== asker.origin || answer.delayMs === undefined || delayMs <= answer.delayMs) return
    const name = `robots-delay ${hashOf(`${productToken(this.#options.userAgent)} ${answer.until}`)}`
    await asker.lane.note(name, async () => ({ text: '', ttl: leftOf(answer), spacing: `${Math.ceil(delayMs)}ms` }))
  }

  async #load(origin: string, from: RobotsAsker['scope']): Promise<RobotsAnswer> {
    const { userAgent, loader, limits } = this.#options
    const scope: LoadScope = {
      ...from,
      userAgent,
      session: undefined,
      limits: { ...limits, bytes: MAX_ROBOTS_BYTES },
    }
    const until = systemClock.now() + VALID_MS
    try {
      const { bytes } = await loader.load(robotsRequest(origin), scope, 'cut')
      // RFC 9309: UTF-8. Other bytes are no part of a rule.
      return { text: new TextDecoder().decode(bytes), until }
    } catch (thrown) {
      from.signal.throwIfAborted()
      // A private address is refused for the page as well, and is no failure of a host.
      if (thrown instanceof CrawlError && thrown.class === 'address') throw thrown
      if (thrown instanceof CrawlError && isAbsent(thrown)) return { text: null, until }
      const status = thrown instanceof CrawlError ? thrown.status : undefined
      const unreachable = status === undefined ? `can't be read: ${headline(thrown)}` : `answered ${status}`
      return { text: null, unreachable, until: systemClock.now() + UNREACHABLE_MS }
    }
  }
}

/**
 * Whether a page's place in time is no longer right: it waited, or its place is one of those from before the delay was known. Later ones
 * are not asked: another crawl may have set another delay.
 */
function isOutOfTurn({ rules, since }: Kept, spacingMs: number, asked: number): boolean {
  const now = performance.now()
  if (spacingMs > 0 && now - asked > WAITED_MS) return true
  return now - since < LEARNING_MS && (rules?.delayMs ?? 0) > spacingMs
}

/** Whether a host has no robots.txt. One that redirects without end counts as absent (RFC 9309, section 2.3.1.2). */
function isAbsent(error: CrawlError): boolean {
  return error.class === 'redirect' || (error.status !== undefined && error.status >= 400 && error.status < 500)
}

function robotsRequest(origin: string): ReadyRequest {
  return {
    url: `${origin}/robots.txt`,
    step: '',
    method: 'GET',
    headers: { accept: 'text/plain,*/*;q=0.8' },
    timeoutMs: ROBOTS_TIMEOUT_MS,
    redirects: MAX_REDIRECTS,
    accept: [],
  }
}

/** Notes have short names. A host that a redirect leads to is noted in the lane of the item. */
function noteName(origin: string, asker: RobotsAsker): string {
  if (origin === asker.origin) return `robots ${new URL(origin).protocol}`
  return `robots ${hashOf(origin)}`
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

function leftOf({ until }: Pick<RobotsAnswer, 'until'>): `${number}ms` {
  return `${Math.max(1, until - systemClock.now())}ms`
}
