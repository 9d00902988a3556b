import type { LookupFunction } from 'node:net'
import { readCall } from '../../calls/call-checks.ts'
import { describe } from '../../errors.ts'
import type { TlsOptions } from '../../http-client/agents.ts'
import { MessageSocket, SocketBroken, type SocketMessage } from '../../http-client/message-socket.ts'
import { publicLookup } from '../../http-client/public-address.ts'
import {
  aFunction,
  aTable,
  expecting,
  listOf,
  oneOf,
  type OptionCheck,
  type OptionChecks,
  readOptions,
  wholeNumber,
} from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { CrawlError } from '../crawl-error.ts'
import type { DownloadScope, StreamDownloader, StreamMessage } from '../downloader.ts'
import { failureOf } from '../fetch/http-failure.ts'
import { firstHop, refusePrivate, shownHop, withCookies } from '../fetch/http-hop.ts'
import type { ReadyRequest } from '../request/request.ts'
import { LONGEST_TIMER_MS } from '../../clock.ts'

/** The options of `socket()`. */
export interface SocketOptions {
  /**
   * Strings to send after the connection has opened. A function receives the number of messages that are already stored, so it can request
   * only the messages after them. Default: none.
   */
  readonly send?: readonly string[] | ((from: number) => readonly string[])
  /** The subprotocols to offer to the server. Default: none. */
  readonly protocols?: readonly string[]
  /** When the item is done. It is also done when the server closes the connection. Default: after 30 seconds without a message. */
  readonly until?: SocketUntil
  /**
   * What the server sends to a new connection after a crash or a broken connection. `'skip'`: all messages from the first one, so those
   * already stored are skipped. `'continue'`: only new messages. Default `'continue'` if `send` is a function, otherwise `'skip'`.
   */
  readonly resume?: 'skip' | 'continue'
  /** The time limit for opening a connection. Default `'10s'`. */
  readonly connectTimeout?: Duration
  /** The trusted certificates for servers, and the crawl's own client certificate. Default: those that Node trusts, and none. */
  readonly tls?: TlsOptions
  /** Resolves host names, like Node's `dns.lookup`. Default: `dns.lookup`. */
  readonly lookup?: LookupFunction
}

/** When the item of a socket is done. One of these conditions is enough. */
export interface SocketUntil {
  /** The number of messages, counted across all connections of the item. Default: no limit. */
  readonly messages?: number
  /** The maximum time without a message. Default `'30s'`. */
  readonly idle?: Duration
  /**
   * The maximum time that the connection stays open. Default: no limit. The step's time limit still applies; exceeding it fails the item.
   */
  readonly time?: Duration
}

const someTexts = listOf(
  'strings',
  expecting('a string', (value) => typeof value === 'string'),
)
const UNTIL: OptionChecks<SocketUntil> = {
  messages: wholeNumber(1),
  idle: aDuration(1, LONGEST_TIMER_MS),
  time: aDuration(1, LONGEST_TIMER_MS),
}
const anEnd: OptionCheck = (value) => {
  const { problems } = readOptions(value, UNTIL, '{ messages: 10_000 }')
  return problems.length === 0 ? undefined : `is ${describe(value)}: ${problems.join('; ')}`
}

const FORM = {
  call: 'socket',
  checks: {
    send: (value) => (typeof value === 'function' ? undefined : someTexts(value)),
    protocols: someTexts,
    until: anEnd,
    resume: oneOf('skip', 'continue'),
    connectTimeout: aDuration(1, LONGEST_TIMER_MS),
    tls: aTable,
    lookup: aFunction,
  } satisfies OptionChecks<SocketOptions>,
  example: '{ send: [\'{"subscribe":"prices"}\'], until: { messages: 10_000 } }',
}

/**
 * A downloader that reads the messages of a WebSocket (`ws:` or `wss:`). Each message is a separate page. The step is called for one
 * message at a time, and while it runs, no further messages are read. After a crash, the item continues after the last message that was
 * stored.
 *
 * @throws PikoError `USAGE` naming all problems
 * @example
 * live: { downloader: socket({ send: ['{"subscribe":"prices"}'], until: { messages: 10_000, idle: '30s' } }), parse: … }
 */
export function socket(options: SocketOptions = {}): StreamDownloader {
  return new SocketDownloader(readCall<SocketOptions>(FORM, {}, options))
}

class SocketDownloader implements StreamDownloader {
  readonly name = 'socket'
  readonly #options: SocketOptions

  constructor(options: SocketOptions) {
    this.#options = options
  }

  async *stream(request: ReadyRequest, scope: DownloadScope, from: number): AsyncGenerator<StreamMessage, void> {
    const { send = [], until = {}, resume = typeof send === 'function' ? 'continue' : 'skip' } = this.#options
    const { messages = Infinity, idle = '30s', time } = until
    if (from >= messages) return
    const shown = shownHop(firstHop(asHttp(request), scope))
    try {
      const open = await this.#open(request, scope)
      const endsAt = time === undefined ? Infinity : performance.now() + durationMs(time)
      try {
        for (const text of typeof send === 'function' ? send(from) : send) open.send(text)
        let number = resume === 'skip' ? 0 : from
        while (number < messages) {
          const message = await open.next(
            Math.min(durationMs(idle), Math.max(0, endsAt - performance.now())),
            scope.signal,
          )
          if (message === 'closed' || message === 'idle') return
          number += 1
          if (number > from || resume === 'continue') yield message satisfies SocketMessage
          if (performance.now() >= endsAt) return
        }
      } finally {
        await open.close()
      }
    } catch (thrown) {
      scope.signal.throwIfAborted()
      if (thrown instanceof SocketBroken) throw new CrawlError(`${shown}: ${thrown.message}`, { class: 'network' })
      throw failureOf(thrown, { request, idleMs: scope.limits.idleMs, shown, proxy: undefined })
    }
  }

  async #open(request: ReadyRequest, scope: DownloadScope): Promise<MessageSocket> {
    const { protocols = [], connectTimeout = '10s', tls, lookup } = this.#options
    const sent = withCookies(firstHop(asHttp(request), scope), scope)
    if (scope.proxy) throw new CrawlError(`${shownHop(sent)}: socket() can't use a proxy`, { class: 'client' })
    refusePrivate(sent, scope)
    const { accept: _accept, 'accept-encoding': _encoding, ...headers } = sent.headers
    const url = new URL(sent.url)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    return MessageSocket.open(url, {
      headers,
      protocols,
      connectTimeoutMs: Math.min(durationMs(connectTimeout), request.timeoutMs),
      signal: scope.signal,
      tls,
      lookup: scope.limits.private ? lookup : publicLookup(lookup),
      maxBytes: scope.limits.bytes,
    })
  }
}

/** Returns the request with an HTTP URL, because an HTTP request opens a WebSocket. */
function asHttp(request: ReadyRequest): ReadyRequest {
  return { ...request, url: request.url.replace(/^ws/i, 'http') }
}
