import type { CDPSession } from 'playwright-core'
import { isHarmless } from '../../http-client/redirected.ts'
import type { Sent } from '../../http-client/sent.ts'
import type { DownloadScope } from '../downloader.ts'
import type { PageAddresses } from './page-addresses.ts'

type Headers = Readonly<Record<string, string>>

/** A request of a page that is about to be sent, or the one that a redirect asks for. */
export interface PageHop {
  readonly url: string
  readonly method: string
  /** Those of the browser. */
  readonly headers: Headers
}

/** What a hop of a page sends. */
export interface SentHop extends PageHop {
  /** Headers of the crawl's request that are still with it. */
  readonly carried: Headers
  /** Names of all headers that are not the browser's own. */
  readonly added: readonly string[]
}

/**
 * The headers of a hop: the browser's, those of the session for its origin, and those of the crawl's request until a redirect leads to another
 * origin. Pure.
 *
 * @param from the request itself if it is the crawl's, the hop before if it is a redirect
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

/** Chromium says itself what it accepts. */
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
 * Gives each request of a page its headers, and each redirect of one its own: playwright's routes would repeat the headers of a request for
 * whatever origin its redirects lead to. Redirects to addresses that may not be asked are refused here, because routes don't see them.
 *
 * @param frameId of the page's main frame
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
      // The page may have gone.
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
      // The page has gone.
      .catch(() => {})
  })
  await cdp.send('Fetch.enable', { patterns: [{ urlPattern: '*', requestStage: 'Request' }] })
}

function isText(body: Sent['body']): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array
}
