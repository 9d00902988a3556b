import type { SslOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import { withPeerName } from '../../sql/tls-stream.ts'
import type { Dsn } from '../../settings/dsn.ts'
import type { MysqlTls } from './mysql-options.ts'

/** The time limit for opening a connection. */
const CONNECT_MS = 10_000

/**
 * Opens a pool whose sessions are in UTC. Its idle connections do not keep the process alive, because the pool that sinks use is never
 * closed.
 */
export async function openPool(dsn: Dsn, size: number, tls: MysqlTls | undefined): Promise<Pool> {
  // The package is loaded at the first use, because most processes need no such pool.
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
  // The connection executes this statement before the first one of its borrower.
  pool.on('connection', (connection) =>
    connection.query("SET SESSION time_zone = '+00:00'", (error) => {
      if (error) connection.destroy()
    }),
  )
  pool.on('acquire', (connection) => socketOf(connection)?.ref())
  pool.on('release', (connection) => socketOf(connection)?.unref())
  return pool.promise()
}

/** Returns the TLS options, which also verify the host by default. The driver alone would accept a valid certificate of any other host. */
function checkedTls(tls: MysqlTls): SslOptions {
  return { ...tls, verifyIdentity: tls.verifyIdentity ?? tls.rejectUnauthorized !== false } as SslOptions
}

interface Socket {
  ref(): void
  unref(): void
}

/** Returns the socket of a connection, for which mysql2 has no type. */
function socketOf(connection: object): Socket | undefined {
  return (connection as { readonly stream?: Socket }).stream
}
