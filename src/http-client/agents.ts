import type { ConnectionOptions } from 'node:tls'
import type { LookupFunction } from 'node:net'
import type { Agent, ProxyAgent } from 'undici'

export type TlsOptions = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'servername' | 'rejectUnauthorized' | 'minVersion' | 'ciphers'
>

export interface AgentOptions {
  /** Connections to one origin. Default: no limit. */
  readonly connections?: number
  readonly connectTimeoutMs: number
  readonly tls?: TlsOptions | undefined
  /** Resolves the names of hosts. The connection goes to the address that it gives. */
  readonly lookup?: LookupFunction
}

/** HTTP/2 would send many requests over one connection, so that a limit of connections would limit nothing. */
const HTTP_1 = { allowH2: false } as const

/** Connections by origin. Loads undici: most processes need no HTTP client. */
export async function openAgent({ connections, connectTimeoutMs, tls, lookup }: AgentOptions): Promise<Agent> {
  const undici = await import('undici')
  return new undici.Agent({
    ...HTTP_1,
    ...(connections !== undefined && { connections }),
    connect: { ...tls, ...(lookup && { lookup }), timeout: connectTimeoutMs },
  })
}

/** Connections through one proxy, which resolves the names of hosts itself. */
export async function openProxyAgent(
  proxy: URL,
  { connections, connectTimeoutMs, tls }: Omit<AgentOptions, 'lookup'>,
): Promise<ProxyAgent> {
  const undici = await import('undici')
  return new undici.ProxyAgent({
    ...HTTP_1,
    ...(connections !== undefined && { connections }),
    uri: proxy.href,
    connectTimeout: connectTimeoutMs,
    ...(tls && { requestTls: tls }),
  })
}
