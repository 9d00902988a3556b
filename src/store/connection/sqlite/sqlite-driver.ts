import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  type QueryResult,
  SelectQueryNode,
  SqliteAdapter,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely'
import { isError, safely } from '../../../errors-read.ts'
import { isAtomic } from './atomic-query.ts'
import { type AutomaticCheckpoint, type Checkpoint, Checkpointer } from './checkpointer.ts'
import { loopTurn } from '../../../loop-turn.ts'
import { Semaphore } from '../../../resource/semaphore.ts'
import { LockWait } from './lock-wait.ts'
import { type OpenedSqlite, openSqlite } from './open-sqlite.ts'
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
/** How many times as long the log may become while a thread copies it, before a commit runs a checkpoint. */
const LATE_FACTOR = 4

/**
 * Kysely's SQLite dialect for `node:sqlite`. It has one connection, which one query or transaction uses at a time. Every transaction begins
 * as `IMMEDIATE`, so it takes the write lock first. Otherwise it could fail later because another process has written.
 */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig
  readonly #parts: DriverParts

  /** @param checkpoint default: runs in a thread */
  constructor(path: string, checkpoint?: Checkpoint) {
    let opened: OpenedSqlite | undefined
    const config = { database: async () => (opened = openSqlite(path)) }
    super(config)
    this.#config = config
    const pragma = (value = ''): unknown[] => opened?.prepare(`PRAGMA wal_autocheckpoint${value}`).all([]) ?? []
    // The user may have set another number of pages. It is read here, so that it can be set again after the checkpoint.
    let usual = CHECKPOINT_PAGES
    let own: number | undefined
    const setAutomatic = (when: AutomaticCheckpoint): void => {
      const current = (pragma()[0] as { wal_autocheckpoint: number } | undefined)?.wal_autocheckpoint ?? usual
      if (current !== own) usual = current
      own = when === 'never' ? 0 : when === 'late' ? usual * LATE_FACTOR : undefined
      pragma(` = ${own ?? usual}`)
    }
    const database = (): OpenedSqlite => {
      if (opened) return opened
      throw new Error(`${path} is not open`)
    }
    const checkpointer = path === ':memory:' ? undefined : new Checkpointer(path, setAutomatic, checkpoint)
    this.#parts = { path, database, checkpointer }
  }

  override createDriver(): Driver {
    return new ImmediateDriver(this.#config, this.#parts)
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

interface DriverParts {
  readonly path: string
  /** Returns the open database. */
  readonly database: () => OpenedSqlite
  readonly checkpointer: Checkpointer | undefined
}

class ImmediateDriver extends SqliteDriver {
  readonly #parts: DriverParts
  readonly #turn: SqliteTurn
  /** The queue for the only connection. */
  readonly #line = new Semaphore(1)
  readonly #lockWait: LockWait
  #connection: TurnConnection | undefined
  #giveBack: (() => void) | undefined
  #begunAt = 0

  constructor(config: SqliteDialectConfig, parts: DriverParts) {
    super(config)
    this.#parts = parts
    this.#turn = SqliteTurn.of(parts.path)
    this.#lockWait = new LockWait(parts.path, { leave: () => this.#line.release(), enter: () => this.#line.acquire() })
  }

  // The functions below await only what is not ready, because each promise delays every run by a few microseconds.

  override async acquireConnection(): Promise<DatabaseConnection> {
    if (!this.#line.tryAcquire()) await this.#line.acquire()
    return this.#only
  }

  override releaseConnection(): Promise<void> {
    this.#line.release()
    return Promise.resolve()
  }

  get #only(): TurnConnection {
    return (this.#connection ??= new TurnConnection(
      this.#parts.database(),
      this.#parts.path,
      this.#turn,
      this.#lockWait,
      (rows) => this.#parts.checkpointer?.changed(rows),
    ))
  }

  override async beginTransaction(): Promise<void> {
    // The event loop gets a turn before the transaction takes the write lock.
    if (loopTurn.isDue(false)) await loopTurn.next()
    const begun = this.#lockWait.run(false, () => this.#begin())
    if (begun) await begun
  }

  #begin(): void | Promise<void> {
    const giveBack = this.#turn.take()
    return giveBack instanceof Promise ? giveBack.then((taken) => this.#beginIn(taken)) : this.#beginIn(giveBack)
  }

  #beginIn(giveBack: () => void): void {
    this.#giveBack = giveBack
    this.#setOwn(true)
    try {
      this.#only.execute(BEGIN)
      this.#begunAt = performance.now()
    } catch (error) {
      this.#end()
      throw error
    }
  }

  override async commitTransaction(): Promise<void> {
    const connection = this.#only
    // The commit may run a checkpoint, which takes so long that it should begin in a new turn.
    if (connection.changed >= SOME_ROWS ? loopTurn.hasHeld(SHORT_TURN_MS) : loopTurn.isDue(true)) await loopTurn.next()
    const { checkpointer } = this.#parts
    if (checkpointer && this.#isLarge) checkpointer.commit(() => void connection.execute(COMMIT))
    else {
      connection.execute(COMMIT)
      checkpointer?.changed(connection.changed)
    }
    this.#end()
  }

  override async destroy(): Promise<void> {
    await this.#parts.checkpointer?.idle()
    await super.destroy()
  }

  override async rollbackTransaction(): Promise<void> {
    try {
      if (loopTurn.isDue(true)) await loopTurn.next()
      this.#only.execute(ROLLBACK)
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
  readonly #database: OpenedSqlite
  readonly #path: string
  readonly #turn: SqliteTurn
  readonly #lockWait: LockWait
  readonly #onChanged: (rows: number) => void

  /** @param onChanged receives how many rows each statement outside a transaction has changed */
  constructor(
    database: OpenedSqlite,
    path: string,
    turn: SqliteTurn,
    lockWait: LockWait,
    onChanged: (rows: number) => void,
  ) {
    this.#database = database
    this.#path = path
    this.#turn = turn
    this.#lockWait = lockWait
    this.#onChanged = onChanged
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (loopTurn.isDue(this.hasTurn)) await loopTurn.next()
    // The transaction already has the write lock.
    if (this.hasTurn) return this.execute<R>(query)
    const isRead = SelectQueryNode.is(query.query) || SELECT.test(query.sql)
    const execute = (): QueryResult<R> => {
      const before = this.changed
      const result = isAtomic(query) ? this.#executeWholly<R>(query) : this.execute<R>(query)
      this.#onChanged(this.changed - before)
      return result
    }
    return this.#lockWait.run(isRead, () => (isRead || this.#turn.isFree ? execute() : this.#inTurn(execute)))
  }

  async #inTurn<T>(execute: () => T): Promise<T> {
    const giveBack = await this.#turn.take()
    try {
      return execute()
    } finally {
      giveBack()
    }
  }

  /** Executes a statement in a transaction of its own, synchronously. */
  #executeWholly<R>(query: CompiledQuery): QueryResult<R> {
    this.execute(BEGIN)
    try {
      const result = this.execute<R>(query)
      this.execute(COMMIT)
      return result
    } catch (error) {
      // After some failures, SQLite has already rolled back. The first error is reported.
      safely(() => this.execute(ROLLBACK), undefined)
      throw error
    }
  }

  /** Executes a statement synchronously. */
  execute<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    try {
      const statement = this.#database.prepare(sql)
      if (statement.reader) {
        const rows = statement.all(parameters) as R[]
        if (statement.returnsChanges) this.changed += rows.length
        return { rows }
      }
      const { changes, lastInsertRowid } = statement.run(parameters)
      this.changed += Number(changes)
      return { insertId: BigInt(lastInsertRowid), numAffectedRows: BigInt(changes), rows: [] }
    } catch (error) {
      throw unwritableError(this.#path, error) ?? error
    }
  }

  async *streamQuery<R>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    for (const row of this.#database.prepare(sql).iterate(parameters)) yield { rows: [row as R] }
  }
}

const BEGIN = CompiledQuery.raw('BEGIN IMMEDIATE')
const COMMIT = CompiledQuery.raw('COMMIT')
const ROLLBACK = CompiledQuery.raw('ROLLBACK')
/** Matches a SELECT, which never writes. */
const SELECT = /^\s*select\b/i
