import { PikoError } from '../errors.ts'
import { isObject } from '../errors-read.ts'
import { CrawlError } from '../crawl/crawl-error.ts'
import type { Answer } from '../crawl/downloader.ts'
import { DEFAULT_USER_AGENT } from '../crawl/fetch/fetch-defaults.ts'
import { statusFailure } from '../crawl/fetch/http-failure.ts'
import { firstHop, nextHop, shownHop } from '../crawl/fetch/http-hop.ts'
import type { Fetched, Fetcher, Streamed } from '../crawl/fetcher.ts'
import { isRedirectStatus } from '../http-client/redirected.ts'
import type { Sent } from '../http-client/sent.ts'
import { canonicalUrl } from '../crawl/request/canonical-url.ts'
import type { ReadyRequest } from '../crawl/request/request.ts'

/** A response that a test gives for a page. */
export interface GivenAnswer {
  /** The status of the response. Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The body: a string or bytes. Any other value is sent as JSON. Default: empty. */
  readonly body?: unknown
  /** The URL of the response, after redirects. Default: the URL of the request, or the one that a `location` header led to. */
  readonly url?: string
}

/** A page of a test. It is given as HTML, as a response, or as a function that returns one of these for each request. */
export type GivenPage = string | GivenAnswer | ((request: ReadyRequest) => string | GivenAnswer)

/** A fetcher that answers with the given pages and sends no requests. */
export class GivenPages implements Fetcher {
  readonly requests: ReadyRequest[] = []
  readonly #pages: ReadonlyMap<string, GivenPage>

  constructor(pages: Readonly<Record<string, GivenPage>>) {
    this.#pages = new Map(Object.entries(pages).map(([url, page]) => [canonicalUrl(url), page]))
  }

  fetch(request: ReadyRequest): Promise<Fetched> {
    return Promise.resolve().then(() => ({
      answer: this.#load(request),
      session: undefined,
      release: () => Promise.resolve(),
    }))
  }

  stream(request: ReadyRequest): Promise<Streamed> {
    return Promise.reject(new PikoError('USAGE', `the test of a crawl has no stream for ${request.url}`))
  }

  streams(): boolean {
    return false
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** Follows redirects between the given pages. Fails in the same way as a real download. */
  #load(request: ReadyRequest): Answer {
    const asHttp = { ...request, url: request.url.replace(/^ws/i, 'http') }
    let sent = firstHop(asHttp, { session: undefined, userAgent: DEFAULT_USER_AGENT })
    for (let hops = 0; ; hops++) {
      const answer = this.#answer(hops === 0 ? request : followed(request, sent))
      const { status } = answer
      if (!isRedirectStatus(status) || request.redirects === 0) {
        if (status < 400 || request.accept.includes(status)) return answer
        throw statusFailure(answer, { request, idleMs: 0, shown: shownHop(sent), proxy: undefined })
      }
      if (hops === request.redirects)
        throw new CrawlError(`${shownHop(sent)} has more than ${hops} redirects`, { class: 'redirect', status })
      sent = nextHop(sent, status, answer.headers['location'])
    }
  }

  #answer(request: ReadyRequest): Answer {
    this.requests.push(request)
    const page = this.#pages.get(canonicalUrl(request.url))
    const given = typeof page === 'function' ? page(request) : (page ?? { status: 404 })
    const { status = 200, headers = {}, body, url = request.url } = typeof given === 'string' ? html(given) : given
    const [bytes, type] = bytesOf(body)
    const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
    return {
      url,
      status,
      headers: { ...(type !== undefined && { 'content-type': type }), ...Object.fromEntries(lower) },
      bytes,
      ms: 0,
      isCached: false,
    }
  }
}

/** Creates the request that follows a redirect. */
function followed(request: ReadyRequest, { url, method, body }: Sent): ReadyRequest {
  const { body: given, ...others } = request
  return { ...others, url: url.href, method, ...(body !== undefined && given && { body: given }) }
}

function html(body: string): GivenAnswer {
  return { body, headers: { 'content-type': 'text/html; charset=utf-8' } }
}

/** Returns the body of a response, copied into its own buffer, because a step may transfer the buffer to a thread. */
function bytesOf(body: unknown): [bytes: Uint8Array, type: string | undefined] {
  if (body === undefined) return [new Uint8Array(), undefined]
  if (typeof body === 'string') return [Uint8Array.from(Buffer.from(body)), undefined]
  if (isObject(body) && body instanceof Uint8Array) return [Uint8Array.from(body), undefined]
  return [Uint8Array.from(Buffer.from(JSON.stringify(body))), 'application/json']
}
