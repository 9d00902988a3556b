import { addressOf, AddressRefused, isPublicAddress } from '../../http-client/public-address.ts'
import { ACCEPT_ENCODING } from '../../http-client/decoded.ts'
import { redirected } from '../../http-client/redirected.ts'
import type { Sent } from '../../http-client/sent.ts'
import { basicAuth, readUrl, shownUrl } from '../../http-client/url.ts'
import { CrawlError } from '../crawl-error.ts'
import type { DownloadScope } from '../downloader.ts'
import type { ReadyBody, ReadyRequest } from '../request/request.ts'

const ACCEPT = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

/**
 * Creates the first HTTP request for a crawl's request. Redirects may follow it. Pure.
 *
 * @throws CrawlError of class `address`
 */
export function firstHop(request: ReadyRequest, scope: Pick<DownloadScope, 'session' | 'userAgent'>): Sent {
  const reading = readUrl(request.url)
  if ('problem' in reading) throw new CrawlError(`the URL ${reading.problem}`, { class: 'address' })
  const { url } = reading
  const authorization = basicAuth(url)
  // Each assignment parses the URL again, so only the parts that must change are assigned.
  if (authorization !== undefined) {
    url.username = ''
    url.password = ''
  }
  if (url.href.includes('#')) url.hash = ''
  return {
    method: request.method,
    url,
    headers: {
      accept: ACCEPT,
      'accept-encoding': ACCEPT_ENCODING,
      'user-agent': scope.userAgent,
      ...scope.session?.headersFor(url.href),
      ...(authorization !== undefined && { authorization }),
      ...request.headers,
    },
    body: request.body && bodyOf(request.body),
  }
}

function bodyOf(body: ReadyBody): string | Uint8Array {
  return 'text' in body ? body.text : Buffer.from(body.base64, 'base64')
}

/**
 * Creates the HTTP request that follows a redirect. Pure.
 *
 * @throws CrawlError of class `redirect`, or `address` for a scheme other than http and https
 */
export function nextHop(sent: Sent, status: number, location: string | undefined): Sent {
  const shown = shownHop(sent)
  if (location === undefined)
    throw new CrawlError(`${shown} returned a redirect without a location`, { class: 'redirect', status })
  const next = redirected(sent, status, location)
  if ('sent' in next) return next.sent
  const isOtherScheme = URL.canParse(location, sent.url.href) && !/^https?:/.test(new URL(location, sent.url).protocol)
  throw new CrawlError(`${shown} ${next.problem}`, { class: isOtherScheme ? 'address' : 'redirect', status })
}

/**
 * Adds the session's headers for the new origin after a redirect. Those for the previous origin are already removed. A header of the
 * crawl's request takes precedence. Pure.
 */
export function withSession(
  sent: Sent,
  request: Pick<ReadyRequest, 'headers'>,
  { session }: Pick<DownloadScope, 'session'>,
): Sent {
  const own = Object.entries(session?.headersFor(sent.url.href) ?? {})
  const missing = own.filter(([name]) => !(name in request.headers && name in sent.headers))
  return { ...sent, headers: { ...sent.headers, ...Object.fromEntries(missing) } }
}

/** Adds the session's cookies to a request, after the request's own cookies. */
export function withCookies(sent: Sent, { session }: Pick<DownloadScope, 'session'>): Sent {
  const cookies = [sent.headers['cookie'], session?.cookiesFor(sent.url.href)].filter((text) => text !== undefined)
  return cookies.length === 0 ? sent : { ...sent, headers: { ...sent.headers, cookie: cookies.join('; ') } }
}

/** Formats the method and the URL of a request for messages. */
export function shownHop({ method, url }: Sent): string {
  return `${method} ${shownUrl(url)}`
}

/**
 * Refuses a URL with a private address as its host. Host names are checked when they are resolved. A proxy resolves names itself, so with a
 * proxy `localhost` and its subdomains are refused here.
 *
 * @throws AddressRefused
 */
export function refusePrivate(
  { url }: Pick<Sent, 'url'>,
  { limits, proxy }: Pick<DownloadScope, 'limits' | 'proxy'>,
): void {
  if (limits.private) return
  const address = addressOf(url)
  if (address !== undefined && !isPublicAddress(address))
    throw new AddressRefused(`${url.hostname} is a private address`)
  if (proxy !== undefined && /(?:^|\.)localhost\.?$/.test(url.hostname))
    throw new AddressRefused(`${url.hostname} is a name of this machine`)
}
