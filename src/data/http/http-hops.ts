import type { Readable } from 'node:stream'
import { wrongCall } from '../../call-options.ts'
import { describe } from '../../errors.ts'
import { ACCEPT_ENCODING, decoded } from '../../http-client/decoded.ts'
import type { Reply } from '../../http-client/exchange.ts'
import { isRedirect, redirected } from '../../http-client/redirected.ts'
import type { Sent } from '../../http-client/sent.ts'
import { readBeginning } from './http-body.ts'
import { someHeaders } from './http-checks.ts'
import { HttpError } from './http-error.ts'
import { failureOf, statusFailure } from './http-failure.ts'
import { lowerCased, type Try } from './http-plan.ts'
import type { HttpOptions, HttpResponse } from './http-types.ts'
import type { Transport } from './transport.ts'

type Head = Pick<HttpResponse, 'status' | 'headers' | 'cookies' | 'url'>

/** A response with an accepted status, whose body has not been read yet. */
export interface Answer {
  readonly head: Head
  /** The body after decompression. */
  readonly body: Readable
}

/** The head of a response, and the request that it belongs to. */
interface Asked {
  readonly head: Head
  readonly tried: Try
  readonly signal: AbortSignal
  readonly isStream: boolean
}

const DEFAULT_HEADERS = { accept: '*/*', 'accept-encoding': ACCEPT_ENCODING, 'user-agent': 'piko' }

/** Sends a request once, and follows its redirects. */
export class HttpHops {
  readonly #transport: Transport
  readonly #origin: string | undefined
  readonly #options: HttpOptions

  constructor(transport: Transport, origin: string | undefined, options: HttpOptions) {
    this.#transport = transport
    this.#origin = origin
    this.#options = options
  }

  /**
   * Resolves with a response that has an accepted status.
   *
   * @throws HttpError, the reason of the signal, any error of the user's functions
   */
  async answer(tried: Try, signal: AbortSignal, isStream: boolean): Promise<Answer> {
    const { plan } = tried
    const own = await this.#ownHeaders(plan.sent.url, signal)
    let sent: Sent = { ...plan.sent, headers: { ...DEFAULT_HEADERS, ...own, ...plan.sent.headers } }
    let leftMs = plan.timeoutMs
    for (let hops = 0; ; hops++) {
      await this.#options.limiter?.take(1, { signal })
      const since = performance.now()
      const limits = { timeoutMs: leftMs, idleMs: plan.idleMs }
      const reply = await translated(tried, signal, () => this.#transport.exchange(sent, limits, signal))
      const head = headOf(reply, sent.url)
      const { location } = head.headers
      if (hops === plan.redirects || !isRedirect(reply.status, location))
        return await this.#accepted(reply, { head, tried, signal, isStream })
      reply.body.destroy()
      const next = redirected(sent, reply.status, location)
      if ('problem' in next) {
        const parts = { kind: 'redirect', request: plan.shown, attempt: tried.attempt, answer: head } as const
        throw new HttpError('HTTP_STATUS', next.problem, parts)
      }
      sent = next.sent
      leftMs = Math.max(1, leftMs - (performance.now() - since))
    }
  }

  /** Returns the client's own headers; none if the client has an origin and the URL has another one. */
  async #ownHeaders(url: URL, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const { headers = {} } = this.#options
    if (this.#origin !== undefined && url.origin !== this.#origin) return {}
    if (typeof headers !== 'function') return lowerCased(headers)
    const given: unknown = await headers(signal)
    const problem = someHeaders(given)
    if (problem !== undefined) throw wrongCall('http', [`headers ${problem}`])
    return lowerCased(given as Awaited<ReturnType<typeof headers>>)
  }

  async #accepted(reply: Reply, { head, tried, signal, isStream }: Asked): Promise<Answer> {
    const { plan } = tried
    try {
      const body = await translated(tried, signal, () => decoded(reply.body, head.headers['content-encoding']))
      if (isAccepted(reply.status, plan.accept)) {
        if (isStream) reply.untimed()
        return { head, body }
      }
      const text = await readBeginning(body, head.headers)
      signal.throwIfAborted()
      throw statusFailure({ ...head, text }, tried)
    } catch (error) {
      reply.body.destroy()
      throw error
    }
  }
}

async function translated<T>(tried: Try, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    signal.throwIfAborted()
    throw failureOf(thrown, tried)
  }
}

function headOf({ status, headers }: Reply, url: URL): Head {
  const { 'set-cookie': cookies = [], ...others } = headers
  const joined = Object.entries(others).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
  )
  return {
    status,
    headers: Object.fromEntries(joined),
    cookies: Array.isArray(cookies) ? cookies : [cookies],
    url: url.href,
  }
}

function isAccepted(status: number, accept: HttpOptions['accept']): boolean {
  if (accept === undefined) return status >= 200 && status < 300
  if (typeof accept !== 'function') return accept.includes(status)
  const answer: unknown = accept(status)
  if (typeof answer === 'boolean') return answer
  throw wrongCall('http', [`accept returned ${describe(answer)}; expected true or false`])
}
