import type { Pool } from 'mysql2/promise'
import type { Dsn } from '../../settings/dsn.ts'
import type { MysqlOptions } from './mysql-options.ts'

/** Time to open a connection. */
const CONNECT_MS = 10_000

/**
 * A pool whose sessions are in UTC. Its idle connections do not keep the process alive, since sinks use it without an owner who closes it.
 */
export async function openPool(dsn: Dsn, size: number, tls: MysqlOptions['tls']): Promise<Pool> {
  // Loaded at the first use, and typed only here.
  const { createPool } = await import('mysql2')
  const { host, port, user, password, database } = dsn
  const pool = createPool({
    host,
    port,
    user,
    password,
    database,
    ...(tls && { ssl: tls as object }),
    connectionLimit: size,
    connectTimeout: CONNECT_MS,
    enableKeepAlive: true,
    charset: 'utf8mb4_unicode_ci',
    timezone: 'Z',
    supportBigNumbers: true,
    multipleStatements: false,
  })
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

interface Socket {
  ref(): void
  unref(): void
}

/** mysql2 has the socket but no type for it. */
function socketOf(connection: object): Socket | undefined {
  return (connection as { readonly stream?: Socket }).stream
}
