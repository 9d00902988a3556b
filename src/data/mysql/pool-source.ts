import { Readable } from 'node:stream'
import type { Pool, PoolConnection, QueryOptions, ResultSetHeader } from 'mysql2/promise'
import { within } from '../../calls/timeout.ts'
import { isPikoError } from '../../errors.ts'
import { isConnectionLost } from '../../sql/database-faults.ts'
import { untilReachable } from './until-reachable.ts'
import type { SqlFile, SqlLoaded } from '../../sql/sql.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import type { MysqlSource, OpenTransaction, Statements } from './mysql-source.ts'

/** A connection idle for longer is pinged before it is used. */
const TRUSTED_MS = 1_000
const MAX_CLOSE_MS = 1_000
/** A server that does not answer a ping in this time is gone. */
const MAX_PING_MS = 5_000

export interface WithConnection {
  /** The connection of the transaction. Neither end its transaction nor release it. */
  readonly connection: PoolConnection
}

/**
 * Connections of a mysql2 pool. An idle one is pinged before it is used. While the server can't be reached, a borrower waits and tries
 * again: nothing has been sent yet.
 */
export class PoolSource implements MysqlSource<WithConnection> {
  readonly #pool: Pool
  readonly #waitMs: number
  readonly #isolation: string | undefined
  readonly #isOwn: boolean
  readonly #usedAt = new WeakMap<object, number>()

  constructor(
    pool: Pool,
    options: { readonly waitMs: number; readonly isolation: string | undefined; readonly isOwn: boolean },
  ) {
    this.#pool = pool
    this.#waitMs = options.waitMs
    this.#isolation = options.isolation
    this.#isOwn = options.isOwn
  }

  async send(sql: string, values: readonly unknown[]): ReturnType<Statements['send']> {
    const connection = await this.#borrow(undefined)
    try {
      return await sendOn(connection, sql, values)
    } finally {
      this.#release(connection)
    }
  }

  async begin(signal: AbortSignal | undefined): Promise<OpenTransaction<WithConnection>> {
    const connection = await this.#borrow(signal)
    try {
      if (this.#isolation !== undefined) await connection.query(`SET TRANSACTION ISOLATION LEVEL ${this.#isolation}`)
      await connection.query('START TRANSACTION')
    } catch (error) {
      connection.destroy()
      throw error
    }
    return {
      extra: { connection },
      send: (sql, values) => sendOn(connection, sql, values),
      commit: () => this.#end(connection, 'COMMIT'),
      rollback: () => this.#end(connection, 'ROLLBACK'),
      abandon: () => this.#abandon(connection),
      load: (sql, chunks) => loadOn(connection, sql, chunks),
    }
  }

  async ping(): Promise<void> {
    const connection = await this.#pool.getConnection()
    try {
      await answered(connection)
      connection.release()
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  async close(): Promise<void> {
    if (!this.#isOwn) return
    // Connections that were given up may never say goodbye.
    try {
      await within(() => this.#pool.end(), MAX_CLOSE_MS, undefined)
    } catch (error) {
      if (!isPikoError(error, 'TIMEOUT')) throw error
    }
  }

  /** A connection that could not end its transaction must not be used again. */
  async #end(connection: PoolConnection, statement: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    try {
      await connection.query(statement)
      this.#release(connection)
    } catch (error) {
      connection.destroy()
      // The server rolls back the transaction of a lost connection.
      if (statement === 'COMMIT' || !isConnectionLost(error)) throw error
    }
  }

  /** Without the KILL, the server would notice only when the statement has ended, and keep its locks until then. */
  #abandon(connection: PoolConnection): void {
    const { threadId } = connection
    connection.destroy()
    // The server may be away, or know the connection no more.
    this.send(`KILL ${Number(threadId)}`, []).catch(() => {})
  }

  #release(connection: PoolConnection): void {
    this.#usedAt.set(connection.connection, performance.now())
    connection.release()
  }

  #borrow(signal: AbortSignal | undefined): Promise<PoolConnection> {
    return untilReachable(() => this.#sound(signal), this.#waitMs, signal)
  }

  async #sound(signal: AbortSignal | undefined): Promise<PoolConnection> {
    for (;;) {
      const connection = await this.#next(signal)
      const usedAt = this.#usedAt.get(connection.connection)
      if (usedAt === undefined || performance.now() - usedAt <= TRUSTED_MS) return connection
      try {
        await answered(connection)
        return connection
      } catch {
        // The connection died while it was idle. The others may have too; the pool opens new ones.
        connection.destroy()
      }
    }
  }

  async #next(signal: AbortSignal | undefined): Promise<PoolConnection> {
    const asked = this.#pool.getConnection()
    try {
      return await untilAborted(asked, signal)
    } catch (error) {
      // A connection that comes too late goes back.
      asked.then(
        (late) => late.release(),
        () => {},
      )
      throw error
    }
  }
}

async function answered(connection: PoolConnection): Promise<void> {
  await untilAborted(connection.ping(), AbortSignal.timeout(MAX_PING_MS))
}

async function sendOn(
  connection: PoolConnection,
  sql: string,
  values: readonly unknown[],
): ReturnType<Statements['send']> {
  const [result] = await connection.query(sql, values as (string | number | Buffer | null)[])
  if (Array.isArray(result)) return { rows: result, changes: 0 }
  return { rows: [], changes: result.affectedRows }
}

/** Sends rows as a file. Only this statement has a file: the server gets none for any other. */
async function loadOn(connection: PoolConnection, sql: string, chunks: SqlFile): Promise<SqlLoaded> {
  // mysql2 has this option but no type for it in its promises.
  const statement: QueryOptions = { sql, infileStreamFactory: () => Readable.from(chunks, { highWaterMark: 2 }) }
  const [result] = await connection.query(statement)
  const { affectedRows, warningStatus } = result as ResultSetHeader
  return { changes: affectedRows, warnings: warningStatus }
}
