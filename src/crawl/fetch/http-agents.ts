import type { LookupFunction } from 'node:net'
import { LRUCache } from 'lru-cache'
import { type Dispatcher, openAgent, openProxyAgent, type TlsOptions } from '../../http-client/agents.ts'
import { publicLookup } from '../../http-client/public-address.ts'
import type { DownloadScope } from '../downloader.ts'

export interface HttpAgentsOptions {
  readonly connectTimeoutMs: number
  readonly tls: TlsOptions | undefined
  readonly lookup: LookupFunction | undefined
}

/** The maximum number of proxies with open connections. */
const MAX_PROXIES = 1_000
/** How long the connections of an unused proxy are kept open. */
const PROXY_IDLE_MS = 60_000

/** The connections of a downloader: direct connections, and connections through each proxy. */
export class HttpAgents {
  readonly #options: HttpAgentsOptions
  readonly #direct = new Map<string, Promise<Dispatcher>>()
  readonly #proxied = new LRUCache<string, Promise<Dispatcher>>({
    max: MAX_PROXIES,
    ttl: PROXY_IDLE_MS,
    updateAgeOnGet: true,
    ttlAutopurge: true,
    // `close` waits for the requests in progress, but `destroy` would abort them.
    dispose: (agent) => void closed(agent, (open) => open.close()),
  })

  constructor(options: HttpAgentsOptions) {
    this.#options = options
  }

  /** Returns the undici dispatcher that sends a request. If the request has a proxy, the dispatcher uses it. */
  for({ proxy, limits }: Pick<DownloadScope, 'proxy' | 'limits'>): Promise<Dispatcher> {
    const { connectTimeoutMs, tls, lookup } = this.#options
    const common = { connectTimeoutMs, tls, headerBytes: limits.headerBytes }
    if (proxy === undefined) {
      const resolve = limits.private ? lookup : publicLookup(lookup)
      return remembered(this.#direct, `${limits.private} ${limits.headerBytes}`, () =>
        openAgent({ ...common, ...(resolve && { lookup: resolve }) }),
      )
    }
    return remembered(this.#proxied, `${limits.headerBytes} ${proxy.url}`, () =>
      openProxyAgent(new URL(proxy.url), common),
    )
  }

  /** Aborts all requests, and closes all connections. */
  async close(): Promise<void> {
    const all = [...this.#direct.values(), ...this.#proxied.values()]
    await Promise.all(all.map((agent) => closed(agent, (open) => open.destroy())))
    this.#direct.clear()
    this.#proxied.clear()
  }
}

interface Kept {
  get(key: string): Promise<Dispatcher> | undefined
  set(key: string, agent: Promise<Dispatcher>): unknown
}

function remembered(kept: Kept, key: string, open: () => Promise<Dispatcher>): Promise<Dispatcher> {
  const known = kept.get(key)
  if (known) return known
  const opened = open()
  kept.set(key, opened)
  return opened
}

/** Closes an agent. Ignores errors, because an agent that failed to open or is already closed need not be closed. */
async function closed(agent: Promise<Dispatcher>, close: (open: Dispatcher) => Promise<void>): Promise<void> {
  await agent.then(close).catch(() => {})
}
