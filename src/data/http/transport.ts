import { PikoError } from '../../errors.ts'
import { type Dispatcher, openAgent } from '../../http-client/agents.ts'
import { exchange, type ExchangeLimits, type Reply } from '../../http-client/exchange.ts'
import type { Sent } from '../../http-client/sent.ts'
import { Semaphore } from '../../resource/semaphore.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import type { HttpOptions } from './http-types.ts'

export interface TransportOptions {
  readonly connections: number
  readonly connectTimeoutMs: number
  readonly tls: HttpOptions['tls']
}

/**
 * Connections by origin. Before it is sent, a request waits for a free connection to its origin, first in first out. It keeps the
 * connection until the body of its response has been read or destroyed. So undici never queues a request, and the time limits begin after
 * the wait.
 */
export class Transport {
  readonly #options: TransportOptions
  readonly #places = new Map<string, Semaphore>()
  readonly #closing = new AbortController()
  #agent: Promise<Dispatcher> | undefined

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /**
   * Sends a request.
   *
   * @throws TimeIsUp, the reason of the signal, PikoError `STOPPED`, or an undici error
   */
  async exchange(sent: Sent, limits: ExchangeLimits, parent: AbortSignal): Promise<Reply> {
    const signals = [parent, this.#closing.signal]
    const released = await this.#take(sent.url.origin, signals)
    return exchange(sent, { open: () => (this.#agent ??= openAgent(this.#options)), limits, signals, released })
  }

  /** Ends every request with `STOPPED`, and closes the connections. */
  async close(): Promise<void> {
    this.#closing.abort(new PikoError('STOPPED', 'the HTTP client is closed'))
    const [agent] = await Promise.allSettled([this.#agent])
    if (agent.status === 'fulfilled') await agent.value?.destroy()
  }

  /** Waits for a free connection to an origin. @returns a function that releases it */
  async #take(origin: string, signals: readonly AbortSignal[]): Promise<() => void> {
    const places = this.#places.get(origin) ?? new Semaphore(this.#options.connections)
    this.#places.set(origin, places)
    const linked = new LinkedSignal(...signals)
    try {
      await places.acquire(linked.signal)
    } finally {
      linked.release()
    }
    return () => {
      places.release()
      // A crawler requests many origins, so unused entries would accumulate.
      if (places.active === 0 && places.waiting === 0) this.#places.delete(origin)
    }
  }
}
