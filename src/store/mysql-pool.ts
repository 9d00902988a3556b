import { readFileSync } from 'node:fs'
import { type MysqlPool as KyselyPool } from 'kysely'
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import { describe, PikoError, toError } from '../errors.ts'

export interface MysqlOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** Connections at most; who needs one more waits in line. */
  readonly poolSize: number
  /** A connection older than this is replaced when it is next needed, or closed when it idles; 0 or less: never. */
  readonly poolRecycleMs: number
  /** For the TCP connection with the handshake, and for each statement that sets the session up. */
  readonly connectTimeoutMs: number
  /** Query parameters of the DSN: `charset`, `unix_socket`, `ssl`, `ssl_ca`. */
  readonly params?: Readonly<Record<string, string>>
}

const SESSION = [
  // Every queue statement counts on it: under REPEATABLE READ a claim locks gaps and queues behind inserts.
  `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED`,
  // MySQL 8's own default mode, also where the server was set to another. Without strictness a value too long is cut;
  // with NO_BACKSLASH_ESCAPES the driver's escaping of values would be wrong.
  `SET SESSION time_zone = '+00:00', sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,` +
    `ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`,
]

const CLOSE_DEADLINE_MS = 5_000

/**
 * A mysql2 pool that hands out a connection only when its session is set up and it is not too old.
 *
 * The set-up is awaited before the borrower gets the connection. Queued behind mysql2's `connection` event instead, a
 * failing `SET` would let the borrower's statement run in the wrong isolation level.
 */
export class MysqlPool implements KyselyPool {
  readonly #pool: Pool
  readonly #recycleMs: number
  readonly #setUpTimeoutMs: number
  /** When each open connection was made, on the monotonic clock. */
  readonly #born = new Map<PoolConnection, number>()

  /** @throws PikoError `SETTINGS_INVALID` for a parameter of the DSN that is unknown */
  constructor(options: MysqlOptions) {
    this.#recycleMs = options.poolRecycleMs > 0 ? options.poolRecycleMs : Number.POSITIVE_INFINITY
    this.#setUpTimeoutMs = options.connectTimeoutMs
    this.#pool = createPool(poolOptions(options))
  }

  getConnection(callback: (error: unknown, connection: PoolConnection) => void): void {
    this.#pool.getConnection((error, connection) => {
      if (error) return callback(error, connection)
      const born = this.#born.get(connection)
      if (born === undefined) return this.#prepare(connection, callback)
      if (performance.now() - born <= this.#recycleMs) return callback(null, connection)
      this.#born.delete(connection)
      // `gracefulEnd`: takes it out of the pool and says good-bye to the server.
      connection.end()
      this.getConnection(callback)
    })
  }

  /** Waits for running statements, but not for ever: after 5 s they fail and their connections are cut. */
  end(callback: (error: unknown) => void): void {
    const deadline = setTimeout(() => {
      const error = new PikoError(
        'STOPPED',
        `the database was closed while a statement ran; it was given ${CLOSE_DEADLINE_MS} ms`,
      )
      for (const connection of this.#born.keys()) socketOf(connection)?.destroy(error)
    }, CLOSE_DEADLINE_MS)
    this.#pool.end((error) => {
      clearTimeout(deadline)
      callback(error)
    })
  }

  #prepare(connection: PoolConnection, callback: (error: unknown, connection: PoolConnection) => void): void {
    this.#born.set(connection, performance.now())
    connection.once('end', () => this.#born.delete(connection))
    // mysql2 listens once. A dead connection may report again, which would end the process for want of a listener; the
    // statement that was running has had its own error.
    connection.on('error', () => this.#born.delete(connection))
    const run = (index: number): void => {
      const statement = SESSION[index]
      if (statement === undefined) return callback(null, connection)
      // Bounded: a server that is stuck may well accept connections.
      connection.query({ sql: statement, timeout: this.#setUpTimeoutMs }, (error) => {
        if (!error) return run(index + 1)
        this.#born.delete(connection)
        connection.destroy()
        callback(error, connection)
      })
    }
    run(0)
  }
}

function poolOptions(options: MysqlOptions): PoolOptions {
  const { socketPath, ssl } = connectionParams(options.params ?? {})
  return {
    ...(socketPath === undefined ? { host: options.host, port: options.port } : { socketPath }),
    ...(ssl && { ssl }),
    user: options.user,
    password: options.password,
    database: options.database,
    connectTimeout: options.connectTimeoutMs,
    connectionLimit: options.poolSize,
    // mysql2 looks for idle connections only when fewer may idle than may exist.
    maxIdle: Math.max(1, options.poolSize - 1),
    ...(options.poolRecycleMs > 0 && { idleTimeout: options.poolRecycleMs }),
    gracefulEnd: true,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    charset: 'utf8mb4_unicode_ci',
    timezone: 'Z',
    // BIGINTs are numbers up to 2^53, and text beyond rather than a wrong number.
    supportBigNumbers: true,
    multipleStatements: false,
    // A server must not be able to ask for a file of this machine.
    flags: ['-LOCAL_FILES'],
  }
}

function connectionParams(params: Readonly<Record<string, string>>): {
  socketPath?: string
  ssl?: { ca?: Buffer; rejectUnauthorized?: boolean }
} {
  const result: ReturnType<typeof connectionParams> = {}
  for (const [name, value] of Object.entries(params)) {
    switch (name) {
      case 'charset':
        if (!value.startsWith('utf8mb4'))
          throw invalidParam(name, value, 'utf8mb4, the only character set that Piko uses')
        break
      case 'unix_socket':
        result.socketPath = value
        break
      case 'ssl':
        if (value === 'true') result.ssl = { ...result.ssl }
        else if (value === 'skip-verify') result.ssl = { ...result.ssl, rejectUnauthorized: false }
        else if (value !== 'false') throw invalidParam(name, value, 'true, skip-verify or false')
        break
      case 'ssl_ca':
        result.ssl = { ...result.ssl, ca: readCertificate(value) }
        break
      default:
        throw invalidParam(name, value, 'one of charset, unix_socket, ssl, ssl_ca; remove it')
    }
  }
  return result
}

function readCertificate(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new PikoError('SETTINGS_INVALID', `MySQL DSN parameter "ssl_ca": ${toError(error).message}`, { cause: error })
  }
}

function invalidParam(name: string, value: string, expected: string): PikoError {
  return new PikoError(
    'SETTINGS_INVALID',
    `MySQL DSN parameter "${name}" is ${describe(value)}; expected ${expected}`,
    {
      details: { param: name, value },
    },
  )
}

/** mysql2 has the socket but does not type it. */
function socketOf(connection: PoolConnection): { destroy(error: Error): void } | undefined {
  return (connection as unknown as { stream?: { destroy(error: Error): void } }).stream
}
