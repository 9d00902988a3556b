import type { CDPSession } from 'playwright-core'
import { isHarmless } from '../../http-client/redirected.ts'
import type { Sent } from '../../http-client/sent.ts'
import type { DownloadScope } from '../downloader.ts'
import type { PageAddresses } from './page-addresses.ts'

type Headers = Readonly<Record<string, string>>

/** A request that a browser's page is about to send: a new request, or one that follows a redirect. */
export interface PageHop {
  readonly url: string
  readonly method: string
  /** The headers that the browser itself would send. */
  readonly headers: Headers
}

/** A request with the headers that are actually sent. */
export interface SentHop extends PageHop {
  /** The headers of the crawl's request that no redirect has removed so far. */
  readonly carried: Headers
  /** The names of all headers that did not come from the browser itself. */
  readonly added: readonly string[]
}

/**
 * Joins the headers of one request of a page: those of the browser, those of the session for this origin, and those of the crawl's request.
 * After a redirect to another origin, only harmless headers of the crawl's request remain, such as `user-agent`. Pure.
 *
 * @param from for the first request of a page, the headers of the crawl's request; after a redirect, the previous request; otherwise
 *   undefined
 */
export function pageHop(
  hop: PageHop,
  from: Sent['headers'] | SentHop | undefined,
  session: DownloadScope['session'],
): SentHop {
  const before = isSent(from) ? from : undefined
  const carried = before ? carriedOn(before, hop) : withoutOwn((from ?? {}) as Headers)
  const own = session?.headersFor(hop.url) ?? {}
  const headers = { ...without(hop.headers, before?.added ?? []), ...own, ...carried }
  return { ...hop, headers, carried, added: [...(before?.added ?? []), ...Object.keys({ ...own, ...carried })] }
}

function isSent(from: Sent['headers'] | SentHop | undefined): from is SentHop {
  return typeof from?.['carried'] === 'object'
}

/** Removes `accept` and `accept-encoding`, because Chromium sets them itself. */
function withoutOwn(headers: Headers): Headers {
  return without(headers, ['accept', 'accept-encoding'])
}

function carriedOn(before: SentHop, hop: PageHop): Headers {
  const isSame = new URL(before.url).origin === new URL(hop.url).origin
  const isSameMethod = before.method === hop.method
  return only(before.carried, (name) => (isSame || isHarmless(name)) && (isSameMethod || !name.startsWith('content-')))
}

function without(headers: Headers, names: readonly string[]): Headers {
  return only(headers, (name) => !names.includes(name))
}

function only(headers: Headers, isKept: (name: string) => boolean): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => isKept(name.toLowerCase())))
}

/**
 * Sets the headers of each request of a page, even after a redirect. A Playwright route can't do that. After a redirect to another
 * origin, it would still send the request's headers, such as its authorization. Redirects to private addresses are also refused here,
 * because routes do not see redirects.
 *
 * @param frameId the id of the page's main frame
 */
export async function sendHeaders(
  cdp: CDPSession,
  frameId: string,
  first: Sent,
  { session }: DownloadScope,
  addresses: PageAddresses,
): Promise<void> {
  const hops = new Map<string, SentHop>()
  cdp.on('Fetch.requestPaused', ({ requestId, redirectedRequestId, request, frameId: frame, resourceType }) => {
    const { url, method } = request
    const isPage = resourceType === 'Document' && frame === frameId
    if (!addresses.isAllowed(url, isPage)) {
      // This fails if the page is already closed, which does no harm.
      cdp.send('Fetch.failRequest', { requestId, errorReason: 'BlockedByClient' }).catch(() => {})
      return
    }
    const before = redirectedRequestId === undefined ? undefined : hops.get(redirectedRequestId)
    const isFirst = redirectedRequestId === undefined && isPage && url === first.url.href
    const sent = pageHop(
      { url, method: isFirst ? first.method : method, headers: request.headers },
      isFirst ? first.headers : before,
      session,
    )
    hops.set(requestId, sent)
    const { body } = first
    const isPlain = !isFirst && sent.added.length === 0
    cdp
      .send('Fetch.continueRequest', {
        requestId,
        ...(!isPlain && { headers: Object.entries(sent.headers).map(([name, value]) => ({ name, value })) }),
        ...(isFirst && { method: first.method }),
        ...(isFirst && isText(body) && { postData: Buffer.from(body).toString('base64') }),
      })
      // The page was closed, so this request is no longer needed.
      .catch(() => {})
  })
  await cdp.send('Fetch.enable', { patterns: [{ urlPattern: '*', requestStage: 'Request' }] })
}

function isText(body: Sent['body']): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array
}
