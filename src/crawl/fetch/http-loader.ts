import type { Readable } from 'node:stream'
import { decoded } from '../../http-client/decoded.ts'
import { HttpCache } from '../../http-client/http-cache.ts'
import { exchange, type Reply } from '../../http-client/exchange.ts'
import { readAll } from '../../http-client/read-all.ts'
import { isRedirectStatus } from '../../http-client/redirected.ts'
import type { Sent } from '../../http-client/sent.ts'
import { formatMs } from '../../time/duration.ts'
import { CrawlError } from '../crawl-error.ts'
import type { Answer, DownloadScope, HttpHeaders } from '../downloader.ts'
import type { ReadyRequest } from '../request/request.ts'
import type { HttpAgents } from './http-agents.ts'
import { type Failing, failureOf, statusFailure } from './http-failure.ts'
import { firstHop, nextHop, refusePrivate, shownHop, withCookies, withSession } from './http-hop.ts'

/** The maximum number of bytes to read from the body of a redirect. If the whole body is read, the connection can be used again. */
const MAX_REDIRECT_BYTES = 16_384
/** The time limit for the body that `pieces` yields. The time that its reader needs is not counted. */
const MAX_ARRIVAL_MS = 3_600_000
/** The maximum number of bytes of the body that the error of a failed request keeps. */
const MAX_FAILED_BYTES = 1_048_576

/** A response whose body has not been read yet. */
interface Opened {
  readonly reply: Reply & { readonly isCached: boolean }
  readonly url: string
  readonly headers: HttpHeaders
  readonly failing: Failing
  readonly since: number
}

/** The parts of a downloader's scope that are needed to load a request. */
export type LoadScope = Omit<DownloadScope, 'log' | 'attempt'>

/** What happens to a body over the limit: the request fails, or the body is truncated. */
export type Excess = 'fail' | 'cut'

/** Sends requests, follows redirects and reads bodies, within the limits of each request. */
export class HttpLoader {
  readonly #agents: HttpAgents

  constructor(agents: HttpAgents) {
    this.#agents = agents
  }

  /**
   * Loads a response with its whole body.
   *
   * @throws CrawlError, or the reason of the signal
   */
  async load(request: ReadyRequest, scope: LoadScope, excess: Excess = 'fail'): Promise<Answer> {
    const opened = await this.#open(request, scope)
    return readInto(opened, scope, async (body) => {
      const { bytes: limit } = scope.limits
      return ownBytes(excess === 'fail' ? await readAll(body, limit) : await readBeginning(body, limit))
    })
  }

  /**
   * Yields the decompressed body while it arrives. The time limit of the request applies only until the headers have arrived.
   *
   * @param arrivalMs the time limit for the whole body, without the time that the reader needs
   * @throws CrawlError, or the reason of the signal
   */
  async *pieces(
    request: ReadyRequest,
    scope: LoadScope,
    arrivalMs: number = MAX_ARRIVAL_MS,
  ): AsyncGenerator<Buffer, void> {
    const opened = await this.#open(request, scope)
    if (!isAccepted(opened)) await readInto(opened, scope, async () => new Uint8Array())
    opened.reply.untimed()
    try {
      let bytes = 0
      let waitedMs = 0
      let askedAt = performance.now()
      for await (const piece of (await bodyOf(opened)) as AsyncIterable<Buffer>) {
        bytes += piece.byteLength
        waitedMs += performance.now() - askedAt
        // A limit for the time between two bytes is not enough, because a server may send single bytes forever.
        if (waitedMs > arrivalMs)
          throw new CrawlError(`${opened.failing.shown} did not arrive within ${formatMs(arrivalMs)}`, {
            class: 'network',
          })
        if (bytes > scope.limits.bytes)
          throw new CrawlError(`${opened.failing.shown} returned more than ${scope.limits.bytes} bytes`, {
            class: 'size',
          })
        yield piece
        askedAt = performance.now()
      }
    } catch (thrown) {
      scope.signal.throwIfAborted()
      throw failureOf(thrown, opened.failing)
    } finally {
      opened.reply.body.destroy()
    }
  }

  async #open(request: ReadyRequest, scope: LoadScope): Promise<Opened> {
    let since = performance.now()
    const seen = new Set<string>()
    let sent = firstHop(request, scope)
    for (let hops = 0; ; hops++) {
      const asked = sent
      const failing: Failing = {
        ...{ request, idleMs: scope.limits.idleMs, proxy: scope.proxy?.label, hasSession: scope.session !== undefined },
        // A getter, because only failures need this text.
        get shown() {
          return shownHop(asked)
        },
      }
      const leftMs = request.timeoutMs - (performance.now() - since)
      const reply = await this.#exchange(sent, failing, scope, leftMs)
      scope.session?.storeCookies(sent.url.href, cookiesOf(reply))
      const headers = headersOf(reply)
      if (!isRedirectStatus(reply.status) || request.redirects === 0)
        return { reply, url: sent.url.href, headers, failing, since }
      await drained(reply.body)
      seen.add(hopKey(sent, scope))
      sent = withSession(nextHop(sent, reply.status, headers['location']), request, scope)
      const problem =
        hops === request.redirects
          ? `has more than ${request.redirects} redirects`
          : // Many logins set a cookie and redirect to the same URL, which is not a loop. So the key contains the cookies.
            seen.has(hopKey(sent, scope)) &&
            `has a redirect that leads back to ${shownHop(sent)}${cookieHint(reply, scope)}`
      if (problem !== false)
        throw new CrawlError(`${failing.shown} ${problem}`, { class: 'redirect', status: reply.status })
      // This is checked before robots.txt of the new host is loaded; otherwise the page would fail because of that robots.txt.
      this.#refuse(sent, failing, scope)
      const askedAt = performance.now()
      await scope.admit?.(sent.url.href)
      // This wait counts neither toward the request's time limit nor as a part of the response's time.
      since += performance.now() - askedAt
    }
  }

  #refuse(sent: Sent, failing: Failing, scope: LoadScope): void {
    try {
      refusePrivate(sent, scope)
    } catch (thrown) {
      throw failureOf(thrown, { ...failing, shown: shownHop(sent) })
    }
  }

  async #exchange(sent: Sent, failing: Failing, scope: LoadScope, leftMs: number): Promise<Opened['reply']> {
    try {
      refusePrivate(sent, scope)
      const cache = scope.cache && new HttpCache(scope.cache, scope.limits.bytes)
      const reply = await exchange(withCookies(sent, scope), {
        open: async () => {
          const agent = await this.#agents.for(scope)
          return cache ? cache.before(agent) : agent
        },
        limits: { timeoutMs: Math.max(1, leftMs), idleMs: scope.limits.idleMs },
        signals: [scope.signal],
      })
      return { ...reply, isCached: cache?.isHit ?? false }
    } catch (thrown) {
      scope.signal.throwIfAborted()
      throw failureOf(thrown, failing)
    }
  }

  close(): Promise<void> {
    return this.#agents.close()
  }
}

/** Returns a key of a request. Two requests with the same key would get the same response, so a repeated key means a redirect loop. */
function hopKey(sent: Sent, scope: LoadScope): string {
  const { method, url, headers } = withCookies(sent, scope)
  return JSON.stringify([method, url.href, headers['cookie']])
}

function cookieHint(reply: Reply, { session }: LoadScope): string {
  const isHelpful = session === undefined && cookiesOf(reply).length > 0
  return isHelpful ? '; the server sets a cookie, which only a crawl with the option session sends back' : ''
}

function isAccepted({ reply: { status }, failing }: Opened): boolean {
  return status < 400 || failing.request.accept.includes(status)
}

function bodyOf({ reply, headers }: Opened): Promise<Readable> {
  return decoded(reply.body, headers['content-encoding'])
}

/**
 * Reads the body of an opened response.
 *
 * @throws CrawlError for a status that is not accepted or a body that can't be read, or the reason of the signal
 */
async function readInto(
  opened: Opened,
  scope: LoadScope,
  read: (body: Readable) => Promise<Uint8Array>,
): Promise<Answer> {
  const { reply, url, headers, failing, since } = opened
  const answerWith = (bytes: Uint8Array): Answer => ({
    url,
    status: reply.status,
    headers,
    bytes,
    ms: performance.now() - since,
    isCached: reply.isCached,
  })
  const isWanted = isAccepted(opened)
  let bytes: Uint8Array
  try {
    const body = await bodyOf(opened)
    bytes = isWanted ? await read(body) : ownBytes(await readBeginning(body, MAX_FAILED_BYTES))
  } catch (thrown) {
    scope.signal.throwIfAborted()
    if (isWanted) throw failureOf(thrown, failing)
    bytes = new Uint8Array()
  } finally {
    reply.body.destroy()
  }
  scope.signal.throwIfAborted()
  if (!isWanted) throw statusFailure(answerWith(bytes), failing)
  return answerWith(bytes)
}

/** Reads at most `maxBytes` of a body. If reading fails, returns the bytes that have arrived. */
async function readBeginning(body: Readable, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece)
      bytes += piece.byteLength
      if (bytes >= maxBytes) break
    }
  } catch {
    // The part that arrived before the failure is returned.
  }
  return Buffer.concat(pieces).subarray(0, maxBytes)
}

/** Returns the bytes in a buffer of their own, because a step may transfer the buffer to a thread. */
function ownBytes(bytes: Buffer): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
}

/** Reads the rest of a body, so that the connection can be used again. */
async function drained(body: Readable): Promise<void> {
  try {
    await readAll(body, MAX_REDIRECT_BYTES)
  } catch {
    // The body is too large or unreadable, so the connection must be closed.
    body.destroy()
  }
}

function cookiesOf({ headers }: Reply): readonly string[] {
  const cookies = headers['set-cookie'] ?? []
  return Array.isArray(cookies) ? cookies : [cookies]
}

function headersOf({ headers }: Reply): HttpHeaders {
  const joined: Record<string, string> = {}
  for (const name of Object.keys(headers)) {
    const given = name === 'set-cookie' ? undefined : headers[name]
    if (given === undefined) continue
    const value = Array.isArray(given) ? given.join(', ') : given
    // A simple assignment to `__proto__` would set the prototype, and the header would be lost.
    if (name === '__proto__') Object.defineProperty(joined, name, { value, enumerable: true })
    else joined[name] = value
  }
  return joined
}
