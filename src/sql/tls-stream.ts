// The heartbeat's thread also loads this module, so it may import only modules whose types Node can strip.
import { connect, isIP, type Socket } from 'node:net'

/** The options of a connection that this module uses. */
interface ServerOptions {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly ssl?: string | { readonly verifyIdentity?: boolean | undefined } | undefined
  readonly keepAliveInitialDelay?: number | undefined
}

/**
 * If the certificate must name the server's IP address, adds a function that opens the socket with this address. With the driver's own
 * socket, TLS knows the host only after a name lookup. There is no lookup for an address, so TLS would expect a certificate for
 * "localhost".
 */
export function withPeerName<O extends ServerOptions>(options: O): O {
  const { host = '', port = 3306, ssl, keepAliveInitialDelay } = options
  if (isIP(host) === 0 || typeof ssl !== 'object' || !ssl.verifyIdentity) return options
  const stream = (): Socket =>
    Object.assign(connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay }), { _host: host })
  return { ...options, stream }
}
