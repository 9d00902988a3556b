import { isPikoError, toError } from '../../errors.ts'
import { addressOf, isPublicAddress } from '../../http-client/public-address.ts'
import { Answers } from '../cache/answers.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { Answer, Downloader, DownloadLimits, DownloadScope, StreamDownloader } from '../downloader.ts'
import type { CrawlDownloaders, Fetched, Fetcher, FetchFleet, FetchScope, Streamed } from '../fetcher.ts'
import { Proxies } from '../proxies/proxies.ts'
import type { ReadyRequest } from '../request/request.ts'
import type { Fresh } from '../run/failure-policy.ts'
import { Robots, type RobotsAsker } from '../robots/robots.ts'
import { type HeldSession, Sessions } from '../sessions/sessions.ts'
import { laneOf } from '../run/item-payload.ts'
import type { FetchSpec } from './fetch-spec.ts'
import { DEFAULT_LIMITS, DEFAULT_USER_AGENT } from './fetch-defaults.ts'
import { openLoader } from './http-downloader.ts'
import type { HttpLoader } from './http-loader.ts'

export interface FetchOptions extends FetchSpec {
  /** The id of the crawl's job. */
  readonly crawl: string
  readonly downloaders?: CrawlDownloaders
  readonly limits?: Partial<DownloadLimits>
  /** What to replace before a blocked page is retried. Default: the session and the proxy. */
  readonly fresh?: ReadonlySet<Fresh>
}

/**
 * Opens the fetcher of a crawl in this process.
 *
 * @param options must already be checked
 */
export function createFetcher(options: FetchOptions): Fetcher {
  return new CrawlFetcher(options)
}

type Outcome = 'done' | 'skipped' | FailureClass

/** A redirect within the host waits at most this long for a turn. Then it is followed anyway, so that the page does not time out. */
const REDIRECT_WAIT = '5s'

/** The session and the proxy that a request keeps until its page has ended. */
interface Held {
  readonly scope: DownloadScope
  readonly session: HeldSession | undefined
  /**
   * Releases the session and the proxy, and counts the outcome of the request.
   *
   * @returns whether a failure is also evidence against the host, and not only against the proxy
   */
  readonly end: (outcome: Outcome, ms: number, isOfSession?: boolean) => boolean
}

class CrawlFetcher implements Fetcher {
  readonly #options: FetchOptions
  readonly #limits: DownloadLimits
  readonly #userAgent: string
  /** Loads robots.txt files, logins, and the pages of requests without their own downloader. */
  readonly #loader: HttpLoader = openLoader()
  readonly #robots: Robots | undefined
  readonly #proxies: Proxies | undefined
  /** Whether each item borrows the proxies. */
  readonly #borrowsProxies: boolean
  readonly #fresh: ReadonlySet<Fresh>
  readonly #sessions: Sessions | undefined
  readonly #answers: Answers
  readonly #downloaders: readonly (Downloader | StreamDownloader)[]

  constructor(options: FetchOptions) {
    this.#options = options
    this.#downloaders = [...new Set(Object.values(options.downloaders?.byName ?? {}))].map(retained)
    const limits = { ...DEFAULT_LIMITS, ...options.limits }
    const { crawl, userAgent = DEFAULT_USER_AGENT, session: spec, proxies } = options
    this.#limits = limits
    this.#userAgent = userAgent
    this.#answers = new Answers(options.cache ?? { mode: 'off' }, { crawl, hasSessions: spec !== undefined })
    if (options.robots !== false) this.#robots = new Robots({ userAgent, loader: this.#loader, limits })
    this.#fresh = options.fresh ?? new Set<Fresh>(['session', 'proxy'])
    this.#borrowsProxies = typeof proxies === 'function'
    if (proxies) this.#proxies = new Proxies(typeof proxies === 'function' ? {} : proxies)
    if (spec)
      this.#sessions = new Sessions({
        crawl,
        spec,
        loader: this.#loader,
        base: { limits, userAgent },
        fresh: this.#fresh,
        proxyFor: async (host, name, fleet) => {
          const proxies = this.#proxies
          return proxies?.pick(host, name, fleet, new AbortController().signal, proxies.blockedAt(host))
        },
      })
  }

  streams(request: ReadyRequest): boolean {
    return 'stream' in this.#downloaderOf(request)
  }

  async fetch(request: ReadyRequest, scope: FetchScope): Promise<Fetched> {
    const downloader = this.#downloaderOf(request)
    if ('stream' in downloader)
      throw new CrawlError(`the downloader "${downloader.name}" sends many messages and can't load a single page`, {
        class: 'client',
      })
    const mode = this.#answers.modeOf(request)
    const kept = mode === 'force' ? await this.#answers.get(request) : undefined
    if (kept) return { ...kept, release: async () => {} }
    const { lane } = scope.fleet
    // Resets what an earlier request of this page has set: a middleware may have caught the failure of a proxy and sent another request.
    lane.counts(true)
    const held = await this.#hold(request, scope, mode === 'http')
    let since: number | undefined
    let answer: Answer
    try {
      await lane.turn()
      since = performance.now()
      answer = await downloader.download(request, held.scope)
    } catch (thrown) {
      const ms = since === undefined ? 0 : performance.now() - since
      lane.measured(ms, { isFailed: true })
      lane.counts(held.end(outcomeOf(thrown), ms, isTooManyCookies(thrown)))
      throw thrown
    }
    if (mode === 'force') await this.#answers.set(request, answer, held.session?.session.name)
    return {
      answer,
      session: held.session?.session.name,
      // If the step skipped the page, a response still arrived, so it counts as a success of the proxy and the session.
      release: async (outcome) => void held.end(outcome === 'skipped' ? 'done' : outcome, answer.ms),
    }
  }

  async stream(request: ReadyRequest, scope: FetchScope, from: number): Promise<Streamed> {
    const downloader = this.#downloaderOf(request)
    if (!('stream' in downloader))
      throw new CrawlError(`the downloader "${downloader.name}" loads a single page and sends no messages`, {
        class: 'client',
      })
    const held = await this.#hold(request, scope)
    try {
      await scope.fleet.lane.turn()
    } catch (thrown) {
      held.end('skipped', 0)
      throw thrown
    }
    const since = performance.now()
    return {
      messages: downloader.stream(request, held.scope, from),
      session: held.session?.session.name,
      release: async (outcome) => scope.fleet.lane.counts(held.end(outcome, performance.now() - since)),
    }
  }

  /** Checks robots.txt, then takes a session and a proxy. */
  async #hold(request: ReadyRequest, asked: FetchScope, isCaching = false): Promise<Held> {
    const { fleet, signal, attempt, failures } = asked
    if (this.#borrowsProxies) this.#proxies?.borrow(asked.proxies)
    const place = hostOf(request)
    const { host, url } = place
    // This is checked before robots.txt is loaded; otherwise the page would fail because of its robots.txt. Host names are checked later,
    // when they are resolved.
    if (isRefused(url, this.#limits))
      throw new CrawlError(`${url.hostname} is refused: it is a private address`, { class: 'address' })
    const admit = await this.#admitted(request, place, fleet, signal)
    const wasBlocked = (failures.blocked ?? 0) > 0
    const session =
      this.#sessions && request.session !== null
        ? await this.#sessions.lease(
            host,
            wasBlocked && this.#fresh.has('session') ? undefined : request.session,
            fleet,
          )
        : undefined
    const except = wasBlocked && this.#fresh.has('proxy') ? this.#proxies?.blockedAt(host) : undefined
    const proxy = session?.proxy ?? (await this.#proxies?.pick(host, undefined, fleet, signal, except))
    return {
      session,
      scope: {
        signal,
        get log() {
          return asked.log
        },
        attempt,
        limits: this.#limits,
        userAgent: this.#userAgent,
        session: session?.session,
        proxy: proxy?.proxy,
        admit: async (to) => {
          await admit?.(to)
          // A redirect is another request to the host. Redirects to other hosts are rare, so they take no turn there.
          if (laneOf(to) === fleet.lane.name) await fleet.lane.turn({ wait: REDIRECT_WAIT })
        },
        // A response for a session may be private, so other requests must not get it from the cache.
        cache: isCaching && !session ? this.#answers.store : undefined,
      },
      end: (outcome, ms, isOfSession = false) => {
        session?.end(outcome)
        const ofProxy = isOfSession ? 'done' : outcome
        return proxy && this.#proxies ? this.#proxies.report(host, proxy, ofProxy, ms, fleet) : true
      },
    }
  }

  /** Checks the URL against robots.txt. @returns a function that checks the URL of a redirect; undefined if the crawl ignores robots.txt */
  async #admitted(
    request: ReadyRequest,
    { host, origin }: Place,
    fleet: FetchFleet,
    signal: AbortSignal,
  ): Promise<((url: string) => Promise<void>) | undefined> {
    const robots = this.#robots
    if (!robots) return undefined
    const proxies = this.#proxies
    const asker: RobotsAsker = {
      ...{ lane: fleet.lane, origin, signal },
      proxies: proxies && {
        pick: (except) => proxies.pick(host, undefined, fleet, signal, except),
        // A redirect may lead to another host. Its failures are not evidence against the page's own host.
        report: (of, proxy, outcome, ms) => void proxies.report(new URL(of).host, proxy, outcome, ms, fleet),
      },
    }
    const admit = (url: string): Promise<void> => robots.admit(url, asker)
    await admit(request.url.replace(/^ws/i, 'http'))
    return admit
  }

  #downloaderOf({ downloader: name }: ReadyRequest): Downloader | StreamDownloader {
    const { downloaders } = this.#options
    const found = downloaders?.byName[name ?? downloaders.default]
    if (found) return found
    if (name === undefined || name === this.#default.name) return this.#default
    throw new CrawlError(`the crawl has no downloader named "${name}"`, { class: 'client' })
  }

  readonly #default: Downloader = {
    name: 'http',
    download: (request, scope) => this.#loader.load(request, scope),
  }

  async close(): Promise<void> {
    const unused = this.#downloaders.filter((one) => released(one))
    const closed = await Promise.allSettled([this.#loader.close(), ...unused.map(async (one) => one.close?.())])
    await this.#answers.close()
    const failures = closed.flatMap((one): unknown[] => (one.status === 'rejected' ? [one.reason] : []))
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} downloaders could not be closed`)
    if (failures.length === 1) throw toError(failures[0])
  }
}

/** How many open fetchers use each downloader, because crawls and apps may share one. */
const uses = new WeakMap<object, number>()

function retained<D extends object>(downloader: D): D {
  uses.set(downloader, (uses.get(downloader) ?? 0) + 1)
  return downloader
}

/**
 * Records that one fetcher no longer uses the downloader.
 *
 * @returns whether no fetcher uses the downloader any more
 */
function released(downloader: object): boolean {
  const left = Math.max(0, (uses.get(downloader) ?? 0) - 1)
  uses.set(downloader, left)
  return left === 0
}

function isRefused(url: URL, limits: DownloadLimits): boolean {
  const address = limits.private ? undefined : addressOf(url)
  return address !== undefined && !isPublicAddress(address)
}

interface Place {
  readonly url: URL
  readonly host: string
  readonly origin: string
}

function hostOf(request: ReadyRequest): Place {
  const url = URL.parse(request.url)
  if (url && /^(?:https?|wss?):$/.test(url.protocol)) {
    const origin = url.origin === 'null' ? `${url.protocol.replace('ws', 'http')}//${url.host}` : url.origin
    return { url, host: url.host, origin: origin.replace(/^ws/, 'http') }
  }
  const scheme = url ? ` has the scheme "${url.protocol}"` : ' is not an absolute URL'
  throw new CrawlError(`the request's URL${scheme}; expected http: or https:`, { class: 'address' })
}

/** Whether the session's cookies have become too large for the site. This is not the proxy's fault. */
function isTooManyCookies(thrown: unknown): boolean {
  return thrown instanceof CrawlError && thrown.status === 431
}

/**
 * Returns the outcome of a failed download. An error that is not a CrawlError, such as the abort of a cancelled run, must not lower the
 * score of the session or the proxy.
 */
function outcomeOf(thrown: unknown): Outcome {
  if (thrown instanceof CrawlError) return thrown.class
  // The step's time limit ended the download, so the server or the proxy did not respond in time.
  return isPikoError(thrown, 'RUN_TIMEOUT') ? 'network' : 'skipped'
}
