import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page, Response, Route } from 'playwright-core'
import { systemClock } from '../../clock.ts'
import { isPikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { TimeIsUp } from '../../http-client/exchange.ts'
import { AddressRefused } from '../../http-client/public-address.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import { after } from '../../calls/timeout.ts'
import { CrawlError } from '../crawl-error.ts'
import type { Answer, Downloader, DownloadScope, HttpHeaders } from '../downloader.ts'
import { type Failing, failureOf, statusFailure } from '../fetch/http-failure.ts'
import { firstHop, refusePrivate, shownHop } from '../fetch/http-hop.ts'
import type { ReadyRequest } from '../request/request.ts'
import { type BrowserOptions, readBrowserOptions, type ResourceKind } from './browser-options.ts'
import { BrowserPool } from './browser-pool.ts'
import { sendHeaders } from './browser-headers.ts'
import { cookiesTo, storeCookiesOf } from './browser-cookies.ts'

const DEFAULT_BLOCK: readonly ResourceKind[] = ['image', 'media', 'font']
/** Pictures of failures that a process takes. */
const MAX_SCREENSHOTS = 1_000

/**
 * Loads pages in Chromium, for sites that need their JavaScript. `page.bytes` is the HTML of the page when it is ready. Needs the package
 * `playwright-core` and a Chromium. Each item has a context of its own, with the cookies of its session.
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
      return await this.#pool.with(scope.limits.private, scope.signal, (opened) =>
        this.#within(opened, request, scope, failing),
      )
    } catch (thrown) {
      scope.signal.throwIfAborted()
      throw isPikoError(thrown) ? thrown : failureOf(plain(thrown), failing)
    }
  }

  /** One page in a context of its own, which is closed whatever happens. */
  async #within(opened: Browser, request: ReadyRequest, scope: DownloadScope, failing: Failing): Promise<Answer> {
    const linked = new LinkedSignal(scope.signal)
    const cancel = after(request.timeoutMs, () => linked.abort(new TimeIsUp()))
    const context = await opened.newContext({
      userAgent: scope.userAgent,
      acceptDownloads: false,
      serviceWorkers: 'block',
      ...(scope.proxy && { proxy: proxyOf(scope.proxy.url) }),
    })
    try {
      return await untilAborted(this.#load(context, request, scope, failing, linked.signal), linked.signal)
    } finally {
      cancel()
      linked.release()
      // A browser that has crashed has closed it.
      await context.close().catch(() => {})
    }
  }

  async #load(
    context: BrowserContext,
    request: ReadyRequest,
    scope: DownloadScope,
    failing: Failing,
    signal: AbortSignal,
  ): Promise<Answer> {
    const since = performance.now()
    const { session } = scope
    const first = firstHop(request, scope)
    const { url } = first
    if (session) await context.addCookies(cookiesTo(url.href, session.cookiesFor(url.href)))
    const page = await context.newPage()
    await page.route('**/*', (route) => this.#routed(route))
    await sendHeaders(context, page, first, scope)
    try {
      const { wait = 'load', drive } = this.#options
      const event = typeof wait === 'string' ? wait : 'domcontentloaded'
      const response = await page.goto(url.href, { waitUntil: event, timeout: request.timeoutMs })
      if (!response) throw new CrawlError(`${failing.shown} has no answer`, { class: 'network' })
      if (typeof wait !== 'string') await page.waitForSelector(wait.selector, { timeout: request.timeoutMs })
      await drive?.(page, signal)
      if (page.url() !== url.href) await scope.admit?.(page.url())
      if (session) storeCookiesOf(await context.cookies(), session)
      const answer = await answerOf(page, response, scope, failing, since)
      if (answer.status >= 400 && !request.accept.includes(answer.status)) throw statusFailure(answer, failing)
      return answer
    } catch (thrown) {
      await this.#picture(page, failing)
      throw thrown
    }
  }

  /** Decides whether a request of a page is sent. Addresses are checked where they are connected to. */
  async #routed(route: Route): Promise<void> {
    const { block = DEFAULT_BLOCK } = this.#options
    const asked = route.request()
    if (!/^(?:https?|data|blob|wss?):/.test(asked.url())) return route.abort('blockedbyclient')
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
      // The failure itself is what counts; a crashed page has no picture.
    }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}

async function answerOf(
  page: Page,
  response: Response,
  scope: DownloadScope,
  failing: Failing,
  since: number,
): Promise<Answer> {
  const { 'set-cookie': _cookies, ...headers } = await response.allHeaders()
  const isHtml = /^(?:text\/html|application\/xhtml)/i.test(headers['content-type'] ?? 'text/html')
  const bytes = isHtml ? Buffer.from(await page.content()) : await response.body()
  if (bytes.byteLength > scope.limits.bytes)
    throw new CrawlError(`${failing.shown} has a page of more than ${scope.limits.bytes} bytes; raise limits.bytes`, {
      class: 'size',
    })
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

/** The error without the log of the browser's calls, which may show headers. */
function plain(thrown: unknown): unknown {
  if (thrown instanceof TimeIsUp || thrown instanceof AddressRefused) return thrown
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
