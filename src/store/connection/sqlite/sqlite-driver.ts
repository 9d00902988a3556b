import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  type QueryResult,
  SelectQueryNode,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely'
import { isError } from '../../../errors-read.ts'
import { type Checkpoint, Checkpointer } from './checkpointer.ts'
import { loopTurn } from '../../../loop-turn.ts'
import { Semaphore } from '../../../resource/semaphore.ts'
import { LockWait } from './lock-wait.ts'
import { openSqlite } from './open-sqlite.ts'
import { unwritableError } from './sqlite-advice.ts'
import { SqliteTurn } from './sqlite-turn.ts'

/**
 * If a transaction has changed at least this many rows, or took at least as long as the time below, a thread runs the checkpoint after the
 * commit.
 */
const LARGE_ROWS = 20_000
const LONG_MS = 500
/**
 * If a transaction has changed at least this many rows, its commit waits for a new turn of the event loop if this turn is older than the
 * time below.
 */
const SOME_ROWS = 500
const SHORT_TURN_MS = 3
/** How long the log is, in pages, when a commit runs a checkpoint. This is SQLite's own default. */
const CHECKPOINT_PAGES = 1_000

/**
 * Kysely's SQLite dialect for `node:sqlite`. It has one connection, which one query or transaction uses at a time. Every transaction begins
 * as `IMMEDIATE`, so it takes the write lock first. Otherwise it could fail later because another process has written.
 */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig
  readonly #path: string
  readonly #checkpointer: Checkpointer | undefined

  /** @param checkpoint default: runs in a thread */
  constructor(path: string, checkpoint?: Checkpoint) {
    let opened: SqliteDatabase | undefined
    const config = { database: async () => (opened = openSqlite(path)) }
    super(config)
    this.#config = config
    this.#path = path
    const pragma = (value = ''): unknown[] => opened?.prepare(`PRAGMA wal_autocheckpoint${value}`).all([]) ?? []
    // The user may have set another number of pages. It is read here, so that it can be set again after the checkpoint.
    let pages = CHECKPOINT_PAGES
    const setAutomatic = (isAutomatic: boolean): void => {
      const current = (pragma()[0] as { wal_autocheckpoint: number } | undefined)?.wal_autocheckpoint ?? pages
      if (!isAutomatic) pages = current
      if (!isAutomatic || current === 0) pragma(` = ${isAutomatic ? pages : 0}`)
    }
    this.#checkpointer = path === ':memory:' ? undefined : new Checkpointer(path, setAutomatic, checkpoint)
  }

  override createDriver(): Driver {
    return new ImmediateDriver(this.#config, this.#path, this.#checkpointer)
  }

  override createAdapter(): DialectAdapter {
    return new OwnLineAdapter()
  }
}

/** Turns off Kysely's own queue for the connection, because a waiting statement can't leave it. The driver has its own queue. */
class OwnLineAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

class ImmediateDriver extends SqliteDriver {
  readonly #path: string
  readonly #turn: SqliteTurn
  readonly #checkpointer: Checkpointer | undefined
  /** The queue for the only connection. */
  readonly #line = new Semaphore(1)
  readonly #lockWait: LockWait
  #connection: TurnConnection | undefined
  #giveBack: (() => void) | undefined
  #begunAt = 0

  constructor(config: SqliteDialectConfig, path: string, checkpointer: Checkpointer | undefined) {
    super(config)
    this.#path = path
    this.#turn = SqliteTurn.of(path)
    this.#checkpointer = checkpointer
    this.#lockWait = new LockWait(path, { leave: () => this.#line.release(), enter: () => this.#line.acquire() })
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    await this.#line.acquire()
    try {
      return (this.#connection ??= new TurnConnection(
        await super.acquireConnection(),
        this.#path,
        this.#turn,
        this.#lockWait,
      ))
    } catch (error) {
      this.#line.release()
      throw error
    }
  }

  override releaseConnection(): Promise<void> {
    this.#line.release()
    return Promise.resolve()
  }

  override beginTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#lockWait.run(false, () => this.#begin(connection))
  }

  async #begin(connection: DatabaseConnection): Promise<void> {
    // The event loop gets a turn before the transaction takes the write lock.
    if (loopTurn.isDue(false)) await loopTurn.next()
    this.#giveBack = await this.#turn.take()
    this.#setOwn(true)
    try {
      await connection.executeQuery(CompiledQuery.raw('BEGIN IMMEDIATE'))
      this.#begunAt = performance.now()
    } catch (error) {
      this.#end()
      throw error
    }
  }

  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    // The commit may run a checkpoint, which takes so long that it should begin in a new turn.
    if ((this.#connection?.changed ?? 0) >= SOME_ROWS && loopTurn.hasHeld(SHORT_TURN_MS)) await loopTurn.next()
    const commit = async (): Promise<void> => void (await connection.executeQuery(CompiledQuery.raw('COMMIT')))
    await (this.#isLarge && this.#checkpointer ? this.#checkpointer.commit(commit) : commit())
    this.#end()
  }

  override async destroy(): Promise<void> {
    await this.#checkpointer?.idle()
    await super.destroy()
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw('ROLLBACK'))
    } catch (error) {
      // After some failures, such as a full disk, SQLite has already rolled back. Then the first error must be reported.
      if (!(isError(error) && error.message.includes('no transaction is active'))) throw error
    } finally {
      this.#end()
    }
  }

  /**
   * Whether a thread should run the checkpoint. For a small transaction, the thread would cost more than the checkpoint. On a busy machine,
   * a small transaction may also be slow, but rarely this slow.
   */
  get #isLarge(): boolean {
    return (this.#connection?.changed ?? 0) >= LARGE_ROWS || performance.now() - this.#begunAt >= LONG_MS
  }

  #setOwn(isOwn: boolean): void {
    if (!this.#connection) return
    this.#connection.hasTurn = isOwn
    this.#connection.changed = 0
  }

  #end(): void {
    this.#setOwn(false)
    this.#giveBack?.()
  }
}

/**
 * A write outside a transaction waits for the transactions of this process's other connections. Every statement waits if a turn of the
 * event loop is due.
 */
class TurnConnection implements DatabaseConnection {
  /** Whether a transaction is open on this connection. */
  hasTurn = false
  /** How many rows the open transaction has changed. */
  changed = 0
  readonly #connection: DatabaseConnection
  readonly #path: string
  readonly #turn: SqliteTurn
  readonly #lockWait: LockWait

  constructor(connection: DatabaseConnection, path: string, turn: SqliteTurn, lockWait: LockWait) {
    this.#connection = connection
    this.#path = path
    this.#turn = turn
    this.#lockWait = lockWait
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (loopTurn.isDue(this.hasTurn)) await loopTurn.next()
    // The transaction already has the write lock.
    if (this.hasTurn) return this.#execute<R>(query)
    const isRead = SelectQueryNode.is(query.query) || SELECT.test(query.sql)
    return this.#lockWait.run(isRead, () => (isRead ? this.#execute<R>(query) : this.#executeInTurn<R>(query)))
  }

  async #executeInTurn<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const giveBack = await this.#turn.take()
    try {
      return await this.#execute<R>(query)
    } finally {
      giveBack()
    }
  }

  async #execute<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const result = await this.#connection.executeQuery<R>(query)
      this.changed += changedRows(query, result)
      return result
    } catch (error) {
      throw unwritableError(this.#path, error) ?? error
    }
  }

  streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#connection.streamQuery<R>(query, chunkSize)
  }
}

/** Matches a SELECT, which never writes. */
const SELECT = /^\s*select\b/i

/** Returns how many rows were changed. If the statement has RETURNING, this is the number of rows that it returned. */
function changedRows({ sql }: CompiledQuery, { numAffectedRows, rows }: QueryResult<unknown>): number {
  if (numAffectedRows !== undefined) return Number(numAffectedRows)
  return rows.length > 0 && /\breturning\b/i.test(sql.slice(-100)) ? rows.length : 0
}
