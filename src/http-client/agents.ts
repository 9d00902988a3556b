import type { ConnectionOptions } from 'node:tls'
import type { LookupFunction } from 'node:net'
import type { Agent, ProxyAgent } from 'undici'

export type { Dispatcher } from 'undici'

export type TlsOptions = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'servername' | 'rejectUnauthorized' | 'minVersion' | 'ciphers'
>

export interface AgentOptions {
  /** The maximum number of connections to one origin. Default: no limit. */
  readonly connections?: number
  readonly connectTimeoutMs: number
  readonly tls?: TlsOptions | undefined
  /** The maximum number of bytes of a response's headers. Default 16 KB. */
  readonly headerBytes?: number
  /** Resolves host names. A connection is opened to exactly the address that it returns. Default: the system's resolver. */
  readonly lookup?: LookupFunction
}

/** Opens connections by origin. Loads undici here, because most processes need no HTTP client. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const { connectTimeoutMs, tls, lookup } = options
  const undici = await import('undici')
  return new undici.Agent({
    ...poolOptions(options),
    connect: { ...tls, ...(lookup && { lookup }), timeout: connectTimeoutMs },
  })
}

/** Opens connections through one proxy. The proxy resolves host names itself. */
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
    // HTTP/2 would send many requests over one connection, so a limit of connections would not limit requests.
    allowH2: false,
    ...(connections !== undefined && { connections }),
    ...(headerBytes !== undefined && { maxHeaderSize: headerBytes }),
  }
}
