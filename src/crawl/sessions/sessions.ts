import { wrongCall } from '../../call-options.ts'
import { isPikoError } from '../../errors.ts'
import { headline } from '../../errors-read.ts'
import { readUrl } from '../../http-client/url.ts'
import type { LeasedState } from '../../job/items/item-context.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { DownloadProxy } from '../downloader.ts'
import type { HttpLoader, LoadScope } from '../fetch/http-loader.ts'
import type { FetchFleet } from '../fetcher.ts'
import type { Page } from '../page.ts'
import type { Fresh } from '../run/failure-policy.ts'
import { createPage } from '../page/create-page.ts'
import { newItem, type RequestRules } from '../request/ready-request.ts'
import type { CrawlBody } from '../request/request.ts'
import { cookieJars } from './cookies.ts'
import { CrawlSession, readSession, type SessionValue } from './session.ts'
import type { LoginHttp, LoginRequest, NewSession, SessionSpec } from './session-spec.ts'

const POOL = 'session'
const DEFAULT_SIZE = 20
const DEFAULT_ERRORS = 3
/** Failure classes that the session may have caused, for example because its account is throttled or its proxy no longer works. */
const ERRORS: ReadonlySet<string> = new Set<FailureClass>(['network', 'throttled', 'server'])

export interface SessionsOptions {
  readonly crawl: string
  readonly spec: SessionSpec
  readonly loader: HttpLoader
  /** The limits and the user agent of all requests of the crawl. */
  readonly base: Pick<LoadScope, 'limits' | 'userAgent'>
  /** Returns the proxy with this name; without a name, chooses one for requests to a host. Undefined if the crawl has no proxies. */
  readonly proxyFor: (host: string, name: string | undefined, fleet: FetchFleet) => Promise<NamedProxy | undefined>
  /** What to replace before a blocked page is retried. */
  readonly fresh: ReadonlySet<Fresh>
}

/** A proxy, and its name in the database. */
export interface NamedProxy {
  readonly name: string
  readonly proxy: DownloadProxy
}

/** A session that an item holds. */
export interface HeldSession {
  readonly session: CrawlSession
  readonly proxy: NamedProxy | undefined
  /** Stores the session's cookies together with the end of the item, and retires the session if `retireAfter` or a block requires it. */
  end(outcome: 'done' | 'skipped' | FailureClass): void
}

/** Leases the sessions of a crawl, which all nodes share. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #jars = cookieJars()

  constructor(options: SessionsOptions) {
    this.#options = options
    // `lease` throws this error. Without this line, it would also be reported as an unhandled rejection.
    this.#jars.catch(() => {})
  }

  /**
   * Waits for a free session, and creates one if the pool is not full.
   *
   * @param host the host of the request's URL
   * @param name the session to lease, unless it is retired; undefined for any session
   * @throws CrawlError of the login, PikoError `PACKAGE_MISSING`
   */
  async lease(host: string, name: string | undefined, fleet: FetchFleet): Promise<HeldSession> {
    const { spec, proxyFor } = this.#options
    const jars = await this.#jars
    const state: LeasedState<SessionValue> = await fleet.state<SessionValue>(POOL, {
      size: spec.size ?? DEFAULT_SIZE,
      create: (created: string, signal: AbortSignal) => this.#create(host, created, fleet, signal),
      ...(name !== undefined && { name }),
      ...(spec.wait !== undefined && { wait: spec.wait }),
    })
    const session = new CrawlSession(state.name, readSession(state.value), jars)
    const proxy = await proxyFor(host, session.proxy, fleet)
    session.stick(proxy?.name)
    return { session, proxy, end: (outcome) => this.#end(state, session, outcome) }
  }

  #end(state: LeasedState<SessionValue>, session: CrawlSession, outcome: 'done' | 'skipped' | FailureClass): void {
    const { spec, fresh } = this.#options
    const { uses = Infinity, errors = DEFAULT_ERRORS } = spec.retireAfter ?? {}
    const isBlocked = outcome === 'blocked'
    const isError = ERRORS.has(outcome) || isBlocked
    if (isBlocked && fresh.has('proxy')) session.stick(undefined)
    if (session.hasChanged) state.save(session.value)
    if (isError) state.failed()
    if ((isBlocked && fresh.has('session')) || state.uses + 1 >= uses || state.errors + Number(isError) >= errors)
      state.retire()
  }

  async #create(host: string, name: string, fleet: FetchFleet, signal: AbortSignal): Promise<SessionValue> {
    const { spec, loader, base, proxyFor } = this.#options
    const proxy = await proxyFor(host, undefined, fleet)
    const empty: SessionValue = { cookies: '', headers: {}, ...(proxy && { proxy: proxy.name }) }
    const session = new CrawlSession(name, empty, await this.#jars)
    if (!spec.login) return session.value
    const scope: LoadScope = { ...base, signal, session, proxy: proxy?.proxy }
    const login = new Login(this.#options.crawl, session, loader, scope)
    try {
      await spec.login(login, login)
    } catch (thrown) {
      signal.throwIfAborted()
      if (isPikoError(thrown)) throw thrown
      const message = `the login of session "${name}" failed: ${headline(thrown)}`
      throw new CrawlError(message, { class: 'blocked', cause: thrown })
    }
    return session.value
  }
}

/** The function `login` of a crawl receives this object as both of its arguments. */
class Login implements LoginHttp, NewSession {
  readonly name: string
  readonly signal: AbortSignal
  readonly #rules: RequestRules
  readonly #session: CrawlSession
  readonly #loader: HttpLoader
  readonly #scope: LoadScope
  readonly #asked = new Set<string>()

  constructor(crawl: string, session: CrawlSession, loader: HttpLoader, scope: LoadScope) {
    this.name = session.name
    this.signal = scope.signal
    const step = { request: {}, priority: 0, downloader: undefined }
    this.#rules = { crawl: `${crawl}, login`, steps: new Map([['login', step]]), ignore: [] }
    this.#session = session
    this.#loader = loader
    this.#scope = scope
  }

  async request(request: LoginRequest): Promise<Page> {
    const { request: ready } = newItem(request, this.#rules, undefined)
    const answer = await this.#loader.load(ready, this.#scope)
    this.#asked.add(new URL(ready.url).origin)
    return createPage(ready, answer, 1)
  }

  get(url: string | URL, options: Omit<LoginRequest, 'url' | 'method' | 'body'> = {}): Promise<Page> {
    return this.request({ ...options, url, method: 'GET' })
  }

  post(
    url: string | URL,
    body?: CrawlBody,
    options: Omit<LoginRequest, 'url' | 'method' | 'body'> = {},
  ): Promise<Page> {
    return this.request({ ...options, url, method: 'POST', ...(body !== undefined && { body }) })
  }

  send(headers: Readonly<Record<string, string>>, origin?: string | URL): void {
    if (origin === undefined) {
      if (this.#asked.size === 0)
        throw wrongCall('session.send', ['origin is missing, and the login has not sent a request yet'])
      for (const asked of this.#asked) this.#session.setHeaders(asked, headers)
      return
    }
    const reading = readUrl(origin)
    if ('problem' in reading) throw wrongCall('session.send', [`origin ${reading.problem}`])
    this.#session.setHeaders(reading.url.origin, headers)
  }
}
