import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { systemClock } from '../../clock.ts'
import { headline } from '../../errors-read.ts'
import type { LaneNote } from '../../job/items/item-context.ts'
import type { FetchFleet } from '../fetcher.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { DownloadLimits } from '../downloader.ts'
import type { HttpLoader, LoadScope } from '../fetch/http-loader.ts'
import type { ReadyRequest } from '../request/request.ts'
import type { NamedProxy } from '../sessions/sessions.ts'
import { productToken, readAnswer, type RobotsAnswer, RobotsRules, storedAnswer } from './robots-rules.ts'

/** RFC 9309, section 2.5: a parser must accept at least this size. */
const MAX_ROBOTS_BYTES = 500 * 1_024
const MAX_REDIRECTS = 5
const ROBOTS_TIMEOUT_MS = 30_000
const VALID_MS = 24 * 3_600_000
/** How long all URLs of a host are refused after its robots.txt could not be read. After that, the file is requested again. */
const UNREACHABLE_MS = 30_000
/** The maximum number of proxies that are tried for one robots.txt. */
const MAX_PROXIES_TRIED = 3
const MAX_KEPT_HOSTS = 1_000
const MAX_KEPT_BYTES = 50_000_000
/** For this long after robots.txt was read, some pages may still have start times that ignore its `crawl-delay`. */
const LEARNING_MS = 10_000

export interface RobotsOptions {
  readonly userAgent: string
  readonly loader: HttpLoader
  /** The limits of the crawl. `bytes` is not used, because robots.txt has its own size limit. */
  readonly limits: DownloadLimits
}

/** The item that is about to load a URL. */
export interface RobotsAsker {
  readonly lane: FetchFleet['lane']
  /** The origin of the item's own URL. The lane takes the `crawl-delay` only from the robots.txt of this origin. */
  readonly origin: string
  readonly signal: AbortSignal
  /**
   * Chooses proxies for the request, except those that have already failed, and counts the results. Undefined: the crawl has no proxies.
   */
  readonly proxies:
    | {
        readonly pick: (failed: ReadonlySet<string>) => Promise<NamedProxy>
        readonly report: (origin: string, proxy: NamedProxy, outcome: 'done' | FailureClass, ms: number) => void
      }
    | undefined
}

interface Kept {
  readonly answer: Omit<RobotsAnswer, 'text'>
  readonly rules: RobotsRules | undefined
  /** When this process read the result, on its monotonic clock. */
  readonly since: number
}

/** Thrown for a page whose start time ignores the host's delay. The page must return to the queue to get another one. */
export class OutOfTurn extends Error {
  constructor(origin: string) {
    super(`the page learned the delay of ${origin}/robots.txt and returns to the queue`)
    this.name = 'OutOfTurn'
  }
}

/**
 * Checks in robots.txt what the crawl may load (RFC 9309). Once a day, one node loads the robots.txt of a host and stores it with the
 * host's lane for all nodes. After a status of 4xx or a failed redirect, everything is allowed. After a status of 5xx or any other failure,
 * nothing is allowed for 30 seconds.
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
   * Checks whether a URL may be loaded now.
   *
   * @throws CrawlError of class `robots` if the URL must not be loaded, with `retryAfterMs` if it must not be loaded yet; of class
   *   `network` if the host did not respond to the request for robots.txt
   * @throws OutOfTurn if the page must get another start time
   */
  async admit(url: string, asker: RobotsAsker): Promise<void> {
    const { origin } = new URL(url)
    const kept = await this.#rulesOf(origin, asker)
    const { answer, rules } = kept
    if (answer.unreachable !== undefined)
      throw new CrawlError(`${origin}/robots.txt ${answer.unreachable}, so no page of this host may be loaded yet`, {
        class: answer.unreachable.startsWith('answered') ? 'robots' : 'network',
        retryAfterMs: Math.max(1_000, answer.until - systemClock.now()),
      })
    if (rules && !rules.isAllowed(url))
      throw new CrawlError(`${origin}/robots.txt disallows this URL`, { class: 'robots' })
    if (origin === asker.origin && isOutOfTurn(kept, asker.lane.spacingMs)) throw new OutOfTurn(origin)
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
    const answer = await this.#load(origin, asker, signal)
    const isOwn = origin === asker.origin && answer.unreachable === undefined
    const delayMs = this.#rules(origin, answer.text)?.delayMs ?? 0
    return {
      text: storedAnswer(isOwn ? { ...answer, delayMs } : answer),
      ttl: leftOf(answer),
      // If the new robots.txt has no delay, this removes the previous one's delay.
      ...(isOwn && { spacing: `${Math.ceil(delayMs)}ms` }),
    }
  }

  /** Stores this crawler's delay in the lane, once, if it is longer than the delay for the crawler that loaded the file. */
  async #slower(origin: string, asker: RobotsAsker, { answer, rules }: Kept): Promise<void> {
    const delayMs = rules?.delayMs ?? 0
    if (origin !== asker.origin || answer.delayMs === undefined || delayMs <= answer.delayMs) return
    const name = `robots-delay ${hashOf(`${productToken(this.#options.userAgent)} ${answer.until}`)}`
    await asker.lane.note(name, async () => ({ text: '', ttl: leftOf(answer), spacing: `${Math.ceil(delayMs)}ms` }))
  }

  async #load(origin: string, asker: RobotsAsker, signal: AbortSignal): Promise<RobotsAnswer> {
    const until = systemClock.now() + VALID_MS
    // This call is outside `try`: a missing proxy says nothing about the host, so only the page fails.
    const first = await asker.proxies?.pick(new Set())
    try {
      // RFC 9309: robots.txt is UTF-8. Invalid bytes can't be part of a rule.
      return { text: new TextDecoder().decode(await this.#bytes(origin, asker, signal, first)), until }
    } catch (thrown) {
      signal.throwIfAborted()
      // Nothing is stored for a private address: the page itself is also refused, and the host has not failed.
      if (thrown instanceof CrawlError && thrown.class === 'address') throw thrown
      if (thrown instanceof CrawlError && isAbsent(thrown)) return { text: null, until }
      const status = thrown instanceof CrawlError ? thrown.status : undefined
      const unreachable = status === undefined ? `can't be read: ${headline(thrown)}` : `answered ${status}`
      return { text: null, unreachable, until: systemClock.now() + UNREACHABLE_MS }
    }
  }

  /** Loads a robots.txt. If one proxy gets no response, others are tried, because a single bad proxy must not block the whole host. */
  async #bytes(
    origin: string,
    { proxies }: RobotsAsker,
    signal: AbortSignal,
    first: NamedProxy | undefined,
  ): Promise<Uint8Array> {
    const { userAgent, loader, limits } = this.#options
    const failed = new Set<string>()
    for (let left = MAX_PROXIES_TRIED; ; left--) {
      const proxy = failed.size === 0 ? first : await proxies?.pick(failed)
      const scope: LoadScope = {
        ...{ signal, userAgent, session: undefined, proxy: proxy?.proxy },
        limits: { ...limits, bytes: MAX_ROBOTS_BYTES },
      }
      const since = performance.now()
      const report = (outcome: 'done' | FailureClass): void => {
        if (proxy) proxies?.report(origin, proxy, outcome, performance.now() - since)
      }
      try {
        const { bytes } = await loader.load(robotsRequest(origin), scope, 'cut')
        report('done')
        return bytes
      } catch (thrown) {
        signal.throwIfAborted()
        const outcome = thrown instanceof CrawlError ? thrown.class : 'network'
        report(outcome)
        if (!proxy || outcome !== 'network' || failed.has(proxy.name) || left <= 1) throw thrown
        failed.add(proxy.name)
      }
    }
  }
}

/**
 * Whether a page must get another start time, because its start time was assigned before the delay was known. This applies only for a short
 * time, because another crawl may later set another delay.
 */
function isOutOfTurn({ rules, since }: Kept, spacingMs: number): boolean {
  return performance.now() - since < LEARNING_MS && (rules?.delayMs ?? 0) > spacingMs
}

/** Whether the failure means that a host has no robots.txt. This includes too many redirects (RFC 9309, section 2.3.1.2). */
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

/**
 * Returns the name of the robots.txt note in the item's lane. If a redirect leads to another origin, that origin's note is stored in the
 * same lane. Its name is a hash, because names must be short.
 */
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
