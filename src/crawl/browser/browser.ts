import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, BrowserContext, BrowserContextOptions, CDPSession, Page, Response, Route } from 'playwright-core'
import { systemClock } from '../../clock.ts'
import { isPikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { TimeIsUp } from '../../http-client/exchange.ts'
import { AddressRefused } from '../../http-client/public-address.ts'
import { TooLarge, tooLarge } from '../../http-client/read-all.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import { within } from '../../calls/timeout.ts'
import { after } from '../../time/after.ts'
import { CrawlError } from '../crawl-error.ts'
import type { Answer, Downloader, DownloadScope, HttpHeaders } from '../downloader.ts'
import { type Failing, failureOf, statusFailure } from '../fetch/http-failure.ts'
import { firstHop, refusePrivate, shownHop } from '../fetch/http-hop.ts'
import type { ReadyRequest } from '../request/request.ts'
import { type BrowserOptions, readBrowserOptions, type ResourceKind } from './browser-options.ts'
import { BrowserPool } from './browser-pool.ts'
import { sendHeaders } from './browser-headers.ts'
import { cookiesTo, storeCookiesOf } from './browser-cookies.ts'
import { isOfPage, PageAddresses } from './page-addresses.ts'
import { htmlOf, limitDocuments } from './page-bodies.ts'

const DEFAULT_BLOCK: readonly ResourceKind[] = ['image', 'media', 'font']
/** The maximum number of screenshots of a downloader in one process, so that failing pages do not fill the disk. */
const MAX_SCREENSHOTS = 1_000
/** If a browser needs longer than this to close a page, it is considered unresponsive and is replaced. */
const MAX_CLOSE_MS = 5_000

/**
 * A downloader that loads pages in Chromium, for sites that work only with JavaScript. `page.bytes` is the HTML of the page when it is
 * ready. Needs the package `playwright-core` and an installed Chromium. Each download has its own browser context, with the cookies of its
 * session.
 *
 * @throws PikoError `USAGE` naming all problems
 * @example
 * rendered: { downloader: browser({ wait: 'networkidle' }), parse: async (page) => page.html('h1').text() }
 */
export function browser(options: BrowserOptions = {}): Downloader {
  return new BrowserDownloader(readBrowserOptions(options))
}

class BrowserDownloader implements Downloader {
  readonly name = 'browser'
  readonly #options: Partial<BrowserOptions>
  readonly #pool: BrowserPool
  #screenshots = 0

  constructor(options: Partial<BrowserOptions>) {
    this.#options = options
    this.#pool = new BrowserPool(options)
  }

  async download(request: ReadyRequest, scope: DownloadScope): Promise<Answer> {
    const first = firstHop(request, scope)
    const failing = { request, idleMs: scope.limits.idleMs, shown: shownHop(first), proxy: scope.proxy?.label }
    try {
      refusePrivate(first, scope)
      return await this.#pool.with(scope.limits.private, scope.signal, (opened, retire) =>
        this.#within(opened, retire, request, scope, failing),
      )
    } catch (thrown) {
      scope.signal.throwIfAborted()
      throw isPikoError(thrown) ? thrown : failureOf(plain(thrown), failing)
    }
  }

  /**
   * Loads a page in its own browser context, and always closes the context afterwards.
   *
   * @param retire replaces a browser that no longer responds
   */
  async #within(
    opened: Browser,
    retire: () => void,
    request: ReadyRequest,
    scope: DownloadScope,
    failing: Failing,
  ): Promise<Answer> {
    const linked = new LinkedSignal(scope.signal)
    const cancel = after(request.timeoutMs, () => linked.abort(new TimeIsUp()))
    try {
      const context = await newContext(opened, contextOptions(scope), linked.signal, retire)
      try {
        return await untilAborted(this.#load(context, request, scope, failing, linked), linked.signal)
      } finally {
        await closed(context, retire)
      }
    } finally {
      cancel()
      linked.release()
    }
  }

  async #load(
    context: BrowserContext,
    request: ReadyRequest,
    scope: DownloadScope,
    failing: Failing,
    linked: LinkedSignal,
  ): Promise<Answer> {
    const since = performance.now()
    const { session } = scope
    const first = firstHop(request, scope)
    const { url } = first
    if (session) await context.addCookies(cookiesTo(url.href, session.cookiesFor(url.href)))
    const page = await context.newPage()
    const addresses = new PageAddresses(scope)
    await page.route('**/*', (route) => this.#routed(route, addresses))
    const cdp = await context.newCDPSession(page)
    const { frameTree } = await cdp.send('Page.getFrameTree')
    const frameId = frameTree.frame.id
    await limitDocuments(cdp, frameId, scope.limits.bytes, (error) => linked.abort(error))
    await sendHeaders(cdp, frameId, first, scope, addresses)
    try {
      const { wait = 'load' } = this.#options
      const event = typeof wait === 'string' ? wait : 'domcontentloaded'
      const response = await page.goto(url.href, { waitUntil: event, timeout: request.timeoutMs })
      if (!response) throw new CrawlError(`${failing.shown} got no response`, { class: 'network' })
      if (typeof wait !== 'string') await page.waitForSelector(wait.selector, { timeout: request.timeoutMs })
      await this.#options.drive?.(page, linked.signal)
      addresses.throwIfRefused()
      if (page.url() !== url.href) await scope.admit?.(page.url())
      if (session) storeCookiesOf(await context.cookies(), session)
      const answer = await answerOf({ page, cdp, frameId }, response, scope, since)
      if (answer.status >= 400 && !request.accept.includes(answer.status)) throw statusFailure(answer, failing)
      return answer
    } catch (thrown) {
      await this.#picture(page, failing)
      addresses.throwIfRefused()
      throw thrown
    }
  }

  /** Decides whether a request of a page is sent. Host names are checked later, when the browser connects. */
  async #routed(route: Route, addresses: PageAddresses): Promise<void> {
    const { block = DEFAULT_BLOCK } = this.#options
    const asked = route.request()
    if (!/^(?:https?|data|blob|wss?):/.test(asked.url())) return route.abort('blockedbyclient')
    if (!addresses.isAllowed(asked.url(), isOfPage(route))) return route.abort('blockedbyclient')
    if (!asked.isNavigationRequest() && block.some((kind) => kind === asked.resourceType()))
      return route.abort('blockedbyclient')
    return route.continue()
  }

  async #picture(page: Page, { shown }: Failing): Promise<void> {
    const { screenshots } = this.#options
    if (screenshots === undefined || this.#screenshots >= MAX_SCREENSHOTS) return
    this.#screenshots += 1
    const name = `${systemClock.now()}-${createHash('sha256').update(shown).digest('hex').slice(0, 12)}.png`
    try {
      await mkdir(screenshots, { recursive: true })
      await page.screenshot({ path: join(screenshots, name), timeout: 5_000 })
    } catch {
      // A screenshot may fail, for example if the page has crashed. Only the page's own failure is reported.
    }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}

function contextOptions(scope: DownloadScope): BrowserContextOptions {
  return {
    userAgent: scope.userAgent,
    acceptDownloads: false,
    serviceWorkers: 'block',
    ...(scope.proxy && { proxy: proxyOf(scope.proxy.url) }),
  }
}

/** Opens a browser context. If this takes too long, the browser is replaced. */
async function newContext(
  opened: Browser,
  options: BrowserContextOptions,
  signal: AbortSignal,
  retire: () => void,
): Promise<BrowserContext> {
  const making = opened.newContext(options)
  try {
    return await untilAborted(making, signal)
  } catch (thrown) {
    if (thrown instanceof TimeIsUp) retire()
    // The context may still open later and must then be closed. Closing fails if the browser has crashed, which does no harm.
    making.then((late) => late.close()).catch(() => {})
    throw thrown
  }
}

async function closed(context: BrowserContext, retire: () => void): Promise<void> {
  try {
    await within(() => context.close(), MAX_CLOSE_MS, undefined)
  } catch {
    // The browser has crashed or no longer responds.
    retire()
  }
}

interface OpenedPage {
  readonly page: Page
  readonly cdp: CDPSession
  readonly frameId: string
}

async function answerOf(
  { page, cdp, frameId }: OpenedPage,
  response: Response,
  scope: DownloadScope,
  since: number,
): Promise<Answer> {
  const { bytes: limit } = scope.limits
  const { 'set-cookie': _cookies, ...headers } = await response.allHeaders()
  const isHtml = /^(?:text\/html|application\/xhtml)/i.test(headers['content-type'] ?? 'text/html')
  const bytes = isHtml ? await htmlOf(cdp, frameId, limit) : await response.body()
  if (bytes.byteLength > limit) throw tooLarge(limit)
  const read: HttpHeaders = isHtml ? { ...headers, 'content-type': 'text/html; charset=utf-8' } : headers
  return {
    url: page.url().replace(/#.*$/, ''),
    status: response.status(),
    headers: read,
    bytes: Uint8Array.from(bytes),
    ms: performance.now() - since,
    isCached: false,
  }
}

/** Returns the error without URLs and without Playwright's call log, which may contain headers. */
function plain(thrown: unknown): unknown {
  if (thrown instanceof TimeIsUp || thrown instanceof AddressRefused || thrown instanceof TooLarge) return thrown
  const [first = ''] = messageOf(thrown).split('\n')
  return new Error(first.replaceAll(/https?:\/\/\S+/g, ''))
}

function proxyOf(url: string): { readonly server: string; readonly username?: string; readonly password?: string } {
  const { protocol, host, username, password } = new URL(url)
  return {
    server: `${protocol}//${host}`,
    ...(username !== '' && { username: decodeURIComponent(username), password: decodeURIComponent(password) }),
  }
}
