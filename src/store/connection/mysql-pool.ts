import { type MysqlPool as KyselyPool, type MysqlPoolConnection as KyselyConnection } from 'kysely'
import { type ConnectionOptions, createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import { isConnectionLost } from '../../sql/database-faults.ts'
import { PikoError, toError } from '../../errors.ts'
import { MYSQL_SESSION } from './mysql-session.ts'
import { connectionParams, tlsAdvice } from './mysql-tls.ts'
import { socketOf, TimedConnection } from './timed-connection.ts'
import { withPeerName } from './tls-stream.ts'

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
  /** For a statement to be answered, and for the wait until a connection is free; 0: no limit. DDL takes as long as it takes. */
  readonly statementTimeoutMs: number
  /** `false`: do without `SKIP LOCKED`. Default: what the server's version says. */
  readonly skipLocked?: boolean
  /** `false`: with TLS, do not check for which host the server's certificate was made. Default `true`. */
  readonly sslVerifyHost?: boolean
  /** Query parameters of the DSN. See `connectionParams`. */
  readonly params?: Readonly<Record<string, string>>
}

const CLOSE_DEADLINE_MS = 5_000

const RECONNECT_MS = 2_000
const FIRST_PAUSE_MS = 50
/** A connection that was not used for longer is asked whether it is still there. */
const TRUSTED_MS = 1_000

type Handover = (error: unknown, connection: KyselyConnection) => void

interface Opened {
  /** On the monotonic clock. */
  readonly bornAt: number
  readonly timed: TimedConnection
}

/**
 * A mysql2 pool that hands out a connection only when its session is set up and it is not too old.
 *
 * The set-up is awaited before the borrower gets the connection. Queued behind mysql2's `connection` event instead, a
 * failing `SET` would let the borrower's statement run in the wrong isolation level.
 *
 * A connection that was idle is asked whether it is still there, and a server that has been there and is gone is tried again
 * for 2 s, with pauses that double: nothing has been sent yet, so this repeats nothing.
 */
export class MysqlPool implements KyselyPool {
  readonly #pool: Pool
  readonly #options: MysqlOptions
  /** The largest statement that is sent. */
  maxStatementBytes = Infinity
  readonly #opened = new Map<PoolConnection, Opened>()
  /** Those who wait for a connection: each fails one of them. */
  readonly #waiting = new Set<(error: PikoError) => void>()
  /** The server's `innodb_rollback_on_timeout`. */
  rollsBackOnTimeout = false
  #hasConnected = false
  #isCut: PikoError | undefined

  /** @throws PikoError `SETTINGS_INVALID` for a parameter of the DSN that is unknown */
  constructor(options: MysqlOptions) {
    this.#options = options
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

  /** Fails every statement under way and each new one: the process ends, and the server answers no more. */
  cut(): void {
    const error = new PikoError('STOPPED', 'the database did not answer in time while the process stopped')
    this.#isCut = error
    for (const fail of [...this.#waiting]) fail(error)
    this.#destroyAll(error)
  }

  /** Waits for running statements, but not for ever: after 5 s they fail and their connections are cut. */
  end(callback: (error: unknown) => void): void {
    if (this.#isCut) {
      this.#pool.end(() => {})
      // mysql2 may have made one more meanwhile, for somebody who was in line.
      this.#destroyAll(this.#isCut)
      return callback(undefined)
    }
    const deadline = setTimeout(() => {
      const error = new PikoError(
        'STOPPED',
        `the database was closed while a statement ran; it was given ${CLOSE_DEADLINE_MS} ms`,
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
        // `gracefulEnd`: takes it out of the pool and says good-bye to the server.
        connection.end()
        again()
      } else if (now - opened.timed.usedAt <= TRUSTED_MS) callback(null, opened.timed)
      else this.#check(connection, (isAlive) => (isAlive ? callback(null, opened.timed) : again()))
    })
  }

  /** Nothing has been asked on this connection yet: the last moment at which a dead one can be replaced without a doubt. */
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
      `none of the ${this.#options.poolSize} connections was free for ${waitedMs} ms; raise [mysql] pool_size, or hold transactions for shorter`,
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
    // mysql2 listens once. A dead connection may report again, which would end the process for want of a listener; the
    // statement that was running has had its own error.
    connection.on('error', () => this.#opened.delete(connection))
    const run = (index: number): void => {
      const statement = MYSQL_SESSION[index]
      if (statement === undefined) {
        this.#hasConnected = true
        return callback(null, timed)
      }
      // Bounded: a server that is stuck may well accept connections.
      connection.query({ sql: statement, timeout: this.#options.connectTimeoutMs }, (error, answer) => {
        if (!error) {
          timed.begun(answer)
          return run(index + 1)
        }
        this.#opened.delete(connection)
        connection.destroy()
        callback(error, timed)
      })
    }
    run(0)
  }
}

function poolOptions(options: MysqlOptions): PoolOptions {
  return {
    ...withPeerName(connectionOptions(options)),
    connectionLimit: options.poolSize,
    // mysql2 looks for idle connections only when fewer may idle than may exist.
    maxIdle: Math.max(1, options.poolSize - 1),
    ...(options.poolRecycleMs > 0 && { idleTimeout: options.poolRecycleMs }),
    gracefulEnd: true,
  }
}

/** For one connection; plain data, so that a thread can have it. */
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
    // BIGINTs are numbers up to 2^53, and text beyond rather than a wrong number.
    supportBigNumbers: true,
    multipleStatements: false,
    // Statements are sent as text; the driver would reserve 300 kB a connection for prepared ones.
    maxPreparedStatements: 1,
    // A server must not be able to ask for a file of this machine.
    flags: ['-LOCAL_FILES'],
  }
}

/** mysql2 has the list, also of connections that are still being made, but does not type it. */
function connectionsOf(pool: Pool): PoolConnection[] {
  return (pool as unknown as { _allConnections: { toArray(): PoolConnection[] } })._allConnections.toArray()
}
