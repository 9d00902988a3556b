import type { Readable } from 'node:stream'
import type { Agent } from 'undici'
import { after } from '../../calls/timeout.ts'
import { PikoError } from '../../errors.ts'
import { Semaphore } from '../../resource/semaphore.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import type { HttpOptions } from './http-types.ts'
import type { Sent } from './http-plan.ts'

export interface ExchangeLimits {
  readonly timeoutMs: number
  readonly idleMs: number
}

/** What a server answered, before its body is read or decoded. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Must be read to its end, or destroyed. */
  readonly body: Readable
  /** Ends the limit `timeoutMs`: the reader of the body takes its own time. */
  readonly untimed: () => void
}

/** The reason for which a request is ended after its time. */
export class TimeIsUp extends Error {}

export interface TransportOptions {
  readonly connections: number
  readonly connectTimeoutMs: number
  readonly tls: HttpOptions['tls']
}

/**
 * Connections by origin. A request first takes one of the origin's places, first in first out, and keeps it until its body has been read
 * or destroyed. So undici never queues a request, and no time limit includes a queue.
 */
export class Transport {
  readonly #options: TransportOptions
  readonly #places = new Map<string, Semaphore>()
  readonly #closing = new AbortController()
  #agent: Promise<Agent> | undefined

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /**
   * Sends a request.
   *
   * @throws TimeIsUp, the reason of the signal, PikoError `STOPPED`, or an error of undici
   */
  async exchange(sent: Sent, limits: ExchangeLimits, parent: AbortSignal): Promise<Reply> {
    const linked = new LinkedSignal(parent, this.#closing.signal)
    const { signal } = linked
    const leave = await this.#take(sent.url.origin, signal, () => linked.release())
    const cancel = after(limits.timeoutMs, () => linked.abort(new TimeIsUp()))
    const end = (): void => {
      cancel()
      linked.release()
      leave()
    }
    try {
      signal.throwIfAborted()
      const asked = this.#send(sent, limits, signal)
      // The place is free only once undici has given the connection up, which may be later than the abort.
      asked.then(
        ({ body }) => {
          // A body that is destroyed reports an error even if nobody reads it.
          body.on('error', () => {})
          body.once('close', end)
        },
        () => end(),
      )
      return { ...(await untilAborted(asked, signal)), untimed: cancel }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw error
    }
  }

  /** Ends every request with `STOPPED`, and closes the connections. */
  async close(): Promise<void> {
    this.#closing.abort(new PikoError('STOPPED', 'the HTTP client is closed'))
    const [agent] = await Promise.allSettled([this.#agent])
    if (agent.status === 'fulfilled') await agent.value?.destroy()
  }

  async #send(sent: Sent, { idleMs }: ExchangeLimits, signal: AbortSignal): Promise<Omit<Reply, 'untimed'>> {
    const agent = await (this.#agent ??= this.#open())
    const { url, method, headers, body } = sent
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers,
      ...(body !== undefined && { body }),
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
      signal,
    })
    return { status: answer.statusCode, headers: answer.headers, body: answer.body }
  }

  async #open(): Promise<Agent> {
    // Loaded at the first request: most processes need no HTTP client.
    const undici = await import('undici')
    const { connections, connectTimeoutMs, tls } = this.#options
    // HTTP/2 would send many requests over one connection, so that a limit of connections would limit nothing.
    return new undici.Agent({ connections, allowH2: false, connect: { ...tls, timeout: connectTimeoutMs } })
  }

  /** Takes a place of an origin. The result returns it, once. */
  async #take(origin: string, signal: AbortSignal, failed: () => void): Promise<() => void> {
    const places = this.#places.get(origin) ?? new Semaphore(this.#options.connections)
    this.#places.set(origin, places)
    try {
      await places.acquire(signal)
    } catch (error) {
      failed()
      throw error
    }
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      places.release()
      // A crawler sees many origins.
      if (places.active === 0 && places.waiting === 0) this.#places.delete(origin)
    }
  }
}
