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
 * The first request that is sent for one of a crawl. Pure.
 *
 * @throws CrawlError of class `address`
 */
export function firstHop(request: ReadyRequest, scope: Pick<DownloadScope, 'session' | 'userAgent'>): Sent {
  const reading = readUrl(request.url)
  if ('problem' in reading) throw new CrawlError(`the URL ${reading.problem}`, { class: 'address' })
  const url = new URL(reading.url)
  const authorization = basicAuth(url)
  url.username = ''
  url.password = ''
  url.hash = ''
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
 * The request that a redirect asks for. Pure.
 *
 * @throws CrawlError of class `redirect`, or `address` for a scheme other than http and https
 */
export function nextHop(sent: Sent, status: number, location: string | undefined): Sent {
  const shown = shownHop(sent)
  if (location === undefined)
    throw new CrawlError(`${shown} has a redirect without a location`, { class: 'redirect', status })
  const next = redirected(sent, status, location)
  if ('sent' in next) return next.sent
  const isOtherScheme = URL.canParse(location, sent.url.href) && !/^https?:/.test(new URL(location, sent.url).protocol)
  throw new CrawlError(`${shown} ${next.problem}`, { class: isOtherScheme ? 'address' : 'redirect', status })
}

/**
 * A redirect with the headers that its session has for the origin it leads to: those of another origin did not come with it. Headers of the
 * request itself that are still with it stay. Pure.
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

/** A request with the cookies of its session. The request's own cookies come first. */
export function withCookies(sent: Sent, { session }: Pick<DownloadScope, 'session'>): Sent {
  const cookies = [sent.headers['cookie'], session?.cookiesFor(sent.url.href)].filter((text) => text !== undefined)
  return cookies.length === 0 ? sent : { ...sent, headers: { ...sent.headers, cookie: cookies.join('; ') } }
}

/** The method and the URL of a request, for messages. */
export function shownHop({ method, url }: Sent): string {
  return `${method} ${shownUrl(url)}`
}

/**
 * Refuses a private address in a URL. Names are checked when they are resolved; a proxy resolves them itself, so a name of this machine is
 * refused here.
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
