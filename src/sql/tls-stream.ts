// The heartbeat's thread loads this too, so it imports only modules whose types Node can strip.
import { connect, isIP, type Socket } from 'node:net'

/** The options of a connection that are used here. */
interface ServerOptions {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly ssl?: string | { readonly verifyIdentity?: boolean | undefined } | undefined
  readonly keepAliveInitialDelay?: number | undefined
}

/**
 * Adds a socket with the server's IP address, if the certificate must name that address. With the driver's own socket, TLS knows
 * the host only after a name lookup, which an address does not need. It would then expect a certificate for "localhost".
 */
export function withPeerName<O extends ServerOptions>(options: O): O {
  const { host = '', port = 3306, ssl, keepAliveInitialDelay } = options
  if (isIP(host) === 0 || typeof ssl !== 'object' || !ssl.verifyIdentity) return options
  const stream = (): Socket =>
    Object.assign(connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay }), { _host: host })
  return { ...options, stream }
}
