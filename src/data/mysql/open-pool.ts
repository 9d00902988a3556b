import type { SslOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import { withPeerName } from '../../sql/tls-stream.ts'
import type { Dsn } from '../../settings/dsn.ts'
import type { MysqlTls } from './mysql-options.ts'

/** Time to open a connection. */
const CONNECT_MS = 10_000

/**
 * A pool whose sessions are in UTC. Its idle connections do not keep the process alive, since sinks use it without an owner who closes it.
 */
export async function openPool(dsn: Dsn, size: number, tls: MysqlTls | undefined): Promise<Pool> {
  // Loaded at the first use, and typed only here.
  const { createPool } = await import('mysql2')
  const { host, port, user, password, database } = dsn
  const pool = createPool(
    withPeerName({
      host,
      port,
      user,
      password,
      database,
      ...(tls && { ssl: checkedTls(tls) }),
      connectionLimit: size,
      connectTimeout: CONNECT_MS,
      enableKeepAlive: true,
      charset: 'utf8mb4_unicode_ci',
      timezone: 'Z',
      supportBigNumbers: true,
      multipleStatements: false,
    }),
  )
  // Sent before the first statement of the borrower, on the same connection.
  pool.on('connection', (connection) =>
    connection.query("SET SESSION time_zone = '+00:00'", (error) => {
      if (error) connection.destroy()
    }),
  )
  pool.on('acquire', (connection) => socketOf(connection)?.ref())
  pool.on('release', (connection) => socketOf(connection)?.unref())
  return pool.promise()
}

/** By itself, the driver accepts the certificate of any other host whose authority is known. */
function checkedTls(tls: MysqlTls): SslOptions {
  return { ...tls, verifyIdentity: tls.verifyIdentity ?? tls.rejectUnauthorized !== false } as SslOptions
}

interface Socket {
  ref(): void
  unref(): void
}

/** mysql2 has the socket but no type for it. */
function socketOf(connection: object): Socket | undefined {
  return (connection as { readonly stream?: Socket }).stream
}
