import type { PoolFigures } from '../../../ledger/node-figures.ts'
import { CompiledQuery, type MysqlPool as KyselyPool, type MysqlPoolConnection as KyselyConnection } from 'kysely'
import type { ConnectionOptions, Pool, PoolConnection, PoolOptions, QueryValues } from 'mysql2'
import { propertyOf } from '../../../errors-read.ts'
import { PikoError, toError } from '../../../errors.ts'
import { isConnectionLost } from '../../../sql/database-faults.ts'
import { MYSQL_SESSION } from './mysql-session.ts'
import { connectionParams, tlsAdvice } from './mysql-tls.ts'
import { socketOf, TimedConnection } from './timed-connection.ts'
import { withPeerName } from '../../../sql/tls-stream.ts'
import { loadPackage } from '../../../load-package.ts'

export interface MysqlOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The maximum number of connections. If all are in use, borrowers wait in a queue, first in, first out. */
  readonly poolSize: number
  /**
   * A connection older than this is replaced at its next use, and one that is idle for longer is closed. 0 or less: there is no limit for
   * the age, and mysql2's own limit for idle connections.
   */
  readonly poolRecycleMs: number
  /** The time limit to connect, including the handshake. Also the time limit of a ping, and of each statement that sets up the session. */
  readonly connectTimeoutMs: number
  /**
   * The time limit for the answer to a statement, and for a free connection. 0: no limit. Statements that change the schema have no limit.
   */
  readonly statementTimeoutMs: number
  /** Whether to use `SKIP LOCKED`. Default: depends on the server's version. */
  readonly skipLocked?: boolean
  /** Whether to check, with TLS, that the server's certificate is for this host. Default true. */
  readonly sslVerifyHost?: boolean
  /** Query parameters of the DSN. See `connectionParams`. */
  readonly params?: Readonly<Record<string, string>>
}

const CLOSE_DEADLINE_MS = 5_000

const RECONNECT_MS = 2_000
const FIRST_PAUSE_MS = 50
/** A connection that was idle for longer than this is pinged before it is used. */
const TRUSTED_MS = 1_000

/** Executes a statement on one connection. */
export type ConnectionQuery = (statement: CompiledQuery) => Promise<unknown>

type Handover = (error: unknown, connection: KyselyConnection) => void

interface Opened {
  /** When the connection was opened, in milliseconds on the monotonic clock. */
  readonly bornAt: number
  readonly timed: TimedConnection
}

/** The internal queues of mysql2's pool. */
interface Counted {
  readonly _allConnections: { readonly length: number }
  readonly _freeConnections: { readonly length: number }
}

/**
 * A mysql2 pool that lends a connection only after its session is set up, and replaces one that is too old.
 *
 * The session is not set up in mysql2's `connection` event: after a failed `SET`, the borrower's statement would run in the wrong isolation
 * level.
 *
 * Pings an idle connection first. If a server that answered before no longer does, retries for 2 s, with pauses that double. This repeats
 * no statement, because none has been sent yet.
 */
export class MysqlPool implements KyselyPool {
  readonly #pool: Pool
  readonly #options: MysqlOptions
  /** The maximum size of a statement, in bytes. */
  maxStatementBytes = Infinity
  readonly #opened = new Map<PoolConnection, Opened>()
  /** A function for each waiting borrower; calling it rejects the borrower's call. */
  readonly #waiting = new Set<(error: PikoError) => void>()
  /** The server's `innodb_rollback_on_timeout`. */
  rollsBackOnTimeout = false
  /** Called for each new connection, with a function that queries it. The connection is lent when the result resolves. */
  onOpened: (query: ConnectionQuery) => Promise<unknown> = () => Promise.resolve()
  #hasConnected = false
  #isCut: PikoError | undefined

  get figures(): PoolFigures {
    const { _allConnections: all, _freeConnections: free } = this.#pool as unknown as Counted
    return { size: this.#options.poolSize, open: all.length, idle: free.length, waiting: this.#waiting.size }
  }

  /** @throws PikoError `SETTINGS_INVALID` for an unknown parameter of the DSN */
  constructor(options: MysqlOptions) {
    this.#options = options
    // Loaded here, because a process on SQLite does not need it.
    const { createPool } = loadPackage<typeof import('mysql2')>('mysql2')
    this.#pool = createPool(poolOptions(options))
  }

  getConnection(callback: Handover): void {
    let isLate = false
    const fail = (error: PikoError): void => {
      isLate = true
      leave()
      callback(error, undefined as never)
    }
    const { statementTimeoutMs } = this.#options
    const timer =
      statementTimeoutMs > 0
        ? setTimeout(() => fail(this.#allTaken(statementTimeoutMs)), statementTimeoutMs)
        : undefined
    const leave = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(fail)
    }
    this.#waiting.add(fail)
    const handOver: Handover = (error, connection) => {
      leave()
      if (!isLate) callback(error, connection)
      else if (!error) connection.release()
    }
    this.#acquire(handOver, FIRST_PAUSE_MS, RECONNECT_MS)
  }

  /** The ids that the server gave the open connections, in ascending order. */
  get threadIds(): number[] {
    return [...this.#opened.keys()].map(({ threadId }) => threadId).sort((a, b) => a - b)
  }

  /** Rejects every running and every later statement. Called when the process ends and the server no longer answers. */
  cut(): void {
    const error = new PikoError('STOPPED', 'the database did not answer in time while the process was stopping')
    this.#isCut = error
    for (const fail of [...this.#waiting]) fail(error)
    this.#destroyAll(error)
  }

  /** Waits at most 5 s for running statements. Then rejects them and closes their connections. */
  end(callback: (error: unknown) => void): void {
    if (this.#isCut) {
      this.#pool.end(() => {})
      // mysql2 may have opened another connection for a waiting borrower, so all connections are destroyed once more.
      this.#destroyAll(this.#isCut)
      return callback(undefined)
    }
    const deadline = setTimeout(() => {
      const error = new PikoError(
        'STOPPED',
        `the database was closed while a statement was running; it had ${CLOSE_DEADLINE_MS} ms to finish`,
      )
      this.#destroyAll(error)
    }, CLOSE_DEADLINE_MS)
    this.#pool.end((error) => {
      clearTimeout(deadline)
      callback(error)
    })
  }

  #destroyAll(error: Error): void {
    for (const connection of connectionsOf(this.#pool)) socketOf(connection)?.destroy(error)
  }

  #acquire(callback: Handover, pauseMs: number, leftMs: number): void {
    if (this.#isCut) return callback(this.#isCut, undefined as never)
    const failed = (error: unknown): void => {
      if (!this.#hasConnected || !isConnectionLost(error)) callback(error, undefined as never)
      else if (leftMs <= 0) callback(this.#unreachable(error), undefined as never)
      else setTimeout(() => this.#acquire(callback, 2 * pauseMs, leftMs - pauseMs), pauseMs)
    }
    this.#pool.getConnection((error, connection) => {
      if (error) return failed(error)
      const opened = this.#opened.get(connection)
      if (!opened) return this.#prepare(connection, (error, timed) => (error ? failed(error) : callback(null, timed)))
      const again = (): void => this.#acquire(callback, pauseMs, leftMs)
      const { poolRecycleMs } = this.#options
      const now = performance.now()
      if (poolRecycleMs > 0 && now - opened.bornAt > poolRecycleMs) {
        this.#opened.delete(connection)
        // With `gracefulEnd`, this removes the connection from the pool and also closes it properly on the server.
        connection.end()
        again()
      } else if (now - opened.timed.usedAt <= TRUSTED_MS) callback(null, opened.timed)
      else this.#check(connection, (isAlive) => (isAlive ? callback(null, opened.timed) : again()))
    })
  }

  /**
   * Checks whether a connection is alive. Nothing has been sent on it for its borrower yet, so a dead connection can still be replaced
   * safely.
   */
  #check(connection: PoolConnection, checked: (isAlive: boolean) => void): void {
    const timer = setTimeout(
      () => socketOf(connection)?.destroy(new Error('no answer to a ping')),
      this.#options.connectTimeoutMs,
    )
    connection.ping((error: unknown) => {
      clearTimeout(timer)
      if (error) connection.destroy()
      checked(!error)
    })
  }

  #allTaken(waitedMs: number): PikoError {
    return new PikoError(
      'DATABASE_TIMEOUT',
      `none of the ${this.#options.poolSize} connections became free within ${waitedMs} ms; raise [mysql] pool_size or keep transactions shorter`,
    )
  }

  #unreachable(error: unknown): PikoError {
    const { host, port, database } = this.#options
    const advice = tlsAdvice(error)
    return new PikoError(
      'DATABASE_UNREACHABLE',
      `no connection to MySQL at ${host}:${port}/${database} for ${RECONNECT_MS} ms: ${toError(error).message}` +
        (advice === undefined ? '' : `; ${advice}`),
      { cause: error },
    )
  }

  #prepare(connection: PoolConnection, callback: Handover): void {
    const timed = new TimedConnection(connection, this.#options.statementTimeoutMs, {
      maxBytes: () => this.maxStatementBytes,
      rollsBackOnTimeout: () => this.rollsBackOnTimeout,
    })
    this.#opened.set(connection, { bornAt: performance.now(), timed })
    connection.once('end', () => this.#opened.delete(connection))
    // mysql2 listens for only one error. A dead connection may report a second one, which would end the process without this listener. The
    // running statement already has its own error.
    connection.on('error', () => this.#opened.delete(connection))
    // These statements have a time limit, because a server that is stuck may still accept connections.
    const timeout = this.#options.connectTimeoutMs
    const query: ConnectionQuery = ({ sql, parameters }) =>
      new Promise((resolve, reject) => {
        connection.query({ sql, values: [...parameters] as QueryValues, timeout }, (error, answer) => {
          if (error) return reject(error)
          timed.begun(answer)
          resolve(answer)
        })
      })
    this.#setUp(query).then(
      () => {
        this.#hasConnected = true
        callback(null, timed)
      },
      (error: unknown) => {
        this.#opened.delete(connection)
        connection.destroy()
        callback(error, timed)
      },
    )
  }

  async #setUp(query: ConnectionQuery): Promise<void> {
    for (const sql of MYSQL_SESSION) await query(CompiledQuery.raw(sql))
    try {
      await this.onOpened(query)
    } catch (error) {
      // A connection on which the server has refused a statement can still be used.
      if (isConnectionLost(error) || propertyOf(error, 'sqlState') === undefined) throw error
    }
  }
}

function poolOptions(options: MysqlOptions): PoolOptions {
  return {
    ...withPeerName(connectionOptions(options)),
    // LOAD DATA for rows in memory needs this flag. mysql2 sends a file only if the statement provides its content; see
    // timed-connection.ts.
    flags: ['LOCAL_FILES'],
    connectionLimit: options.poolSize,
    // mysql2 closes idle connections only if `maxIdle` is below `connectionLimit`.
    maxIdle: Math.max(1, options.poolSize - 1),
    ...(options.poolRecycleMs > 0 && { idleTimeout: options.poolRecycleMs }),
    gracefulEnd: true,
  }
}

/** Returns the options of one connection as plain data, which can be sent to a thread. */
export function connectionOptions(options: MysqlOptions): ConnectionOptions {
  const { socketPath, ssl } = connectionParams(options.params ?? {}, options.sslVerifyHost)
  return {
    ...(socketPath === undefined ? { host: options.host, port: options.port } : { socketPath }),
    ...(ssl && { ssl }),
    user: options.user,
    password: options.password,
    database: options.database,
    connectTimeout: options.connectTimeoutMs,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    charset: 'utf8mb4_unicode_ci',
    timezone: 'Z',
    // Returns BIGINTs above 2^53 as strings instead of a wrong number.
    supportBigNumbers: true,
    multipleStatements: false,
    // Piko sends statements as text. The driver would reserve 300 kB per connection for prepared ones.
    maxPreparedStatements: 1,
    // Without this flag, a server could request a file from this machine.
    flags: ['-LOCAL_FILES'],
  }
}

/** Returns all connections, including those that are being opened. mysql2 has this list but no type for it. */
function connectionsOf(pool: Pool): PoolConnection[] {
  return (pool as unknown as { _allConnections: { toArray(): PoolConnection[] } })._allConnections.toArray()
}
