import { PikoError } from '../errors.ts'
import { isObject } from '../errors-read.ts'
import { CrawlError } from '../crawl/crawl-error.ts'
import type { Answer } from '../crawl/downloader.ts'
import type { Fetched, Fetcher, Streamed } from '../crawl/fetcher.ts'
import { canonicalUrl } from '../crawl/request/canonical-url.ts'
import type { ReadyRequest } from '../crawl/request/request.ts'

/** A response that a test defines. */
export interface GivenAnswer {
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The body: a text or bytes; any other value becomes JSON. Default: empty. */
  readonly body?: unknown
  /** The URL of the response, after redirects. Default: the URL of the request. */
  readonly url?: string
}

/** A page of a test: its HTML, its response, or a function that returns one of these for each request. */
export type GivenPage = string | GivenAnswer | ((request: ReadyRequest) => string | GivenAnswer)

/** A fetcher that takes responses from given pages and sends no request. */
export class GivenPages implements Fetcher {
  readonly requests: ReadyRequest[] = []
  readonly #pages: ReadonlyMap<string, GivenPage>

  constructor(pages: Readonly<Record<string, GivenPage>>) {
    this.#pages = new Map(Object.entries(pages).map(([url, page]) => [canonicalUrl(url), page]))
  }

  fetch(request: ReadyRequest): Promise<Fetched> {
    this.requests.push(request)
    return Promise.resolve().then(() => ({
      answer: this.#answer(request),
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

  #answer(request: ReadyRequest): Answer {
    const page = this.#pages.get(canonicalUrl(request.url))
    const given = typeof page === 'function' ? page(request) : (page ?? { status: 404 })
    const { status = 200, headers = {}, body, url = request.url } = typeof given === 'string' ? html(given) : given
    const [bytes, type] = bytesOf(body)
    const answer: Answer = {
      url,
      status,
      headers: { ...(type !== undefined && { 'content-type': type }), ...headers },
      bytes,
      ms: 0,
      isCached: false,
    }
    if (status < 400 || request.accept.includes(status)) return answer
    const of = status === 429 ? 'throttled' : status >= 500 ? 'server' : BLOCKED.includes(status) ? 'blocked' : 'client'
    throw new CrawlError(`${request.method} ${request.url} answered ${status}`, { class: of, status, answer })
  }
}

const BLOCKED = [401, 403, 407]

function html(body: string): GivenAnswer {
  return { body, headers: { 'content-type': 'text/html; charset=utf-8' } }
}

function bytesOf(body: unknown): [bytes: Uint8Array, type: string | undefined] {
  if (body === undefined) return [new Uint8Array(), undefined]
  if (typeof body === 'string') return [Buffer.from(body), undefined]
  if (isObject(body) && body instanceof Uint8Array) return [body, undefined]
  return [Buffer.from(JSON.stringify(body)), 'application/json']
}
