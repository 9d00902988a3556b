// Also a module of the heartbeat's thread: only modules whose types can be stripped.
import { connect, isIP, type Socket } from 'node:net'
import type { ConnectionOptions } from 'mysql2'

/**
 * The options, with a socket that knows the server's IP address where that is what the certificate must be made for. TLS over a socket
 * of the driver's would expect a certificate for "localhost" then: it takes the host from where name look-up leaves it, and an address
 * is not looked up.
 */
export function withPeerName<O extends ConnectionOptions>(options: O): O {
  const { host = '', port = 3306, ssl, keepAliveInitialDelay } = options
  if (isIP(host) === 0 || typeof ssl !== 'object' || !ssl.verifyIdentity) return options
  const stream = (): Socket =>
    Object.assign(connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay }), { _host: host })
  return { ...options, stream }
}
