import { Readable } from 'node:stream'
import type { Pool, PoolConnection, QueryOptions, ResultSetHeader } from 'mysql2/promise'
import { within } from '../../calls/timeout.ts'
import { isPikoError } from '../../errors.ts'
import { isConnectionLost } from '../../sql/database-faults.ts'
import { untilReachable } from './until-reachable.ts'
import type { SqlFile, SqlLoaded } from '../../sql/sql.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import type { MysqlSource, OpenTransaction, Statements } from './mysql-source.ts'

/** A connection that was idle for longer than this is pinged before it is used. */
const TRUSTED_MS = 1_000
const MAX_CLOSE_MS = 1_000
/** A connection on which the server does not answer a ping in this time is considered lost. */
const MAX_PING_MS = 5_000

export interface WithConnection {
  /** The connection of the transaction. Neither end its transaction nor release it. */
  readonly connection: PoolConnection
}

/**
 * Connections of a mysql2 pool. An idle connection is pinged before it is used. While the server can't be reached, a borrower waits and
 * tries again, which is safe because no statement has been sent yet.
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
    // An abandoned connection may never end, so the wait has a limit.
    try {
      await within(() => this.#pool.end(), MAX_CLOSE_MS, undefined)
    } catch (error) {
      if (!isPikoError(error, 'TIMEOUT')) throw error
    }
  }

  /** Ends the transaction. If that fails, the connection must not be used again. */
  async #end(connection: PoolConnection, statement: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    try {
      await connection.query(statement)
      this.#release(connection)
    } catch (error) {
      connection.destroy()
      // If the connection was lost, a ROLLBACK has succeeded anyway, because the server rolls back by itself.
      if (statement === 'COMMIT' || !isConnectionLost(error)) throw error
    }
  }

  /**
   * Destroys the connection, and lets the server kill it too. Otherwise the server would execute the running statement to its end, and keep
   * its locks until then.
   */
  #abandon(connection: PoolConnection): void {
    const { threadId } = connection
    connection.destroy()
    // The server may be unreachable, or have already ended the connection.
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
        // The connection was lost while it was idle. Other idle connections may be lost too. The pool opens new ones.
        connection.destroy()
      }
    }
  }

  async #next(signal: AbortSignal | undefined): Promise<PoolConnection> {
    const asked = this.#pool.getConnection()
    try {
      return await untilAborted(asked, signal)
    } catch (error) {
      // A connection that arrives after the abort is returned to the pool.
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

/** Sends rows as a file. The file belongs to this statement only, so the server can't request a file with any other statement. */
async function loadOn(connection: PoolConnection, sql: string, chunks: SqlFile): Promise<SqlLoaded> {
  // mysql2 lacks a type for this option in its promise API.
  const statement: QueryOptions = { sql, infileStreamFactory: () => Readable.from(chunks, { highWaterMark: 2 }) }
  const [result] = await connection.query(statement)
  const { affectedRows, warningStatus } = result as ResultSetHeader
  return { changes: affectedRows, warnings: warningStatus }
}
