import type { ConnectionOptions } from 'node:tls'
import type { LookupFunction } from 'node:net'
import type { Agent, ProxyAgent } from 'undici'

export type { Dispatcher } from 'undici'

export type TlsOptions = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'servername' | 'rejectUnauthorized' | 'minVersion' | 'ciphers'
>

export interface AgentOptions {
  /** Connections to one origin. Default: no limit. */
  readonly connections?: number
  readonly connectTimeoutMs: number
  readonly tls?: TlsOptions | undefined
  /** Largest headers of an answer. Default 16 KB. */
  readonly headerBytes?: number
  /** Resolves the names of hosts. The connection goes to the address that it gives. */
  readonly lookup?: LookupFunction
}

/** Connections by origin. Loads undici: most processes need no HTTP client. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const { connectTimeoutMs, tls, lookup } = options
  const undici = await import('undici')
  return new undici.Agent({
    ...poolOptions(options),
    connect: { ...tls, ...(lookup && { lookup }), timeout: connectTimeoutMs },
  })
}

/** Connections through one proxy, which resolves the names of hosts itself. */
export async function openProxyAgent(proxy: URL, options: Omit<AgentOptions, 'lookup'>): Promise<ProxyAgent> {
  const { connectTimeoutMs, tls } = options
  const undici = await import('undici')
  return new undici.ProxyAgent({
    ...poolOptions(options),
    uri: proxy.href,
    connectTimeout: connectTimeoutMs,
    ...(tls && { requestTls: tls }),
  })
}

function poolOptions({ connections, headerBytes }: AgentOptions): Agent.Options {
  return {
    // HTTP/2 would send many requests over one connection, so that a limit of connections would limit nothing.
    allowH2: false,
    ...(connections !== undefined && { connections }),
    ...(headerBytes !== undefined && { maxHeaderSize: headerBytes }),
  }
}
