import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
// A separate `import type`: with inline types the import would remain and load the module, which prints its warning.
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
  SelectQueryNode,
  type SqliteDatabase,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely'
import { UnstorableValue } from '../../../sql/database-faults.ts'
import { describe, PikoError } from '../../../errors.ts'
import { exactInteger, wantsExactIntegers } from '../../statements/exact-integers.ts'
import { type Checkpoint, Checkpointer } from './checkpointer.ts'
import { loopTurn } from '../../../loop-turn.ts'
import { nodeSqlite } from './node-sqlite.ts'
import { SqlScanner } from '../../statements/sql-scanner.ts'
import { readOnlyError } from './sqlite-advice.ts'
import { SqliteTurn } from './sqlite-turn.ts'
import { returnsRows } from './returns-rows.ts'

const CACHED_STATEMENTS = 200

/**
 * How long a statement waits for another process's write, in milliseconds. The wait blocks the event loop, so it is short;
 * `retryContention` then continues without blocking.
 */
const BUSY_TIMEOUT_MS = 1_000

/** The commit of a transaction that changed at least this many rows, or took at least this long, leaves the checkpoint to a thread. */
const LARGE_ROWS = 20_000
const LONG_MS = 500
/** The length of the log, in pages, at which a commit runs a checkpoint. SQLite's own default. */
const CHECKPOINT_PAGES = 1_000

/**
 * Kysely's SQLite dialect for `node:sqlite`. It has one connection, which Kysely gives to one query or transaction at a time. Every
 * transaction begins as `IMMEDIATE` and so takes the write lock first. It can't fail midway because another process wrote in between.
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
    // The user may have set another limit than Piko's.
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
}

class ImmediateDriver extends SqliteDriver {
  readonly #path: string
  readonly #turn: SqliteTurn
  readonly #checkpointer: Checkpointer | undefined
  #connection: TurnConnection | undefined
  #giveBack: (() => void) | undefined
  #begunAt = 0

  constructor(config: SqliteDialectConfig, path: string, checkpointer: Checkpointer | undefined) {
    super(config)
    this.#path = path
    this.#turn = SqliteTurn.of(path)
    this.#checkpointer = checkpointer
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return (this.#connection ??= new TurnConnection(await super.acquireConnection(), this.#path, this.#turn))
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    // The turn comes before the transaction takes the write lock.
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
      // After some failures, such as a full disk, SQLite has already rolled back. The first error is the one to report.
      if (!(error instanceof Error && error.message.includes('no transaction is active'))) throw error
    } finally {
      this.#end()
    }
  }

  /**
   * A thread costs more than the checkpoint of a small transaction. On a busy machine small transactions may take long, but rarely this
   * long.
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
 * Makes a single write wait for the transaction of another connection of this process, and every statement for a due turn of the event
 * loop.
 */
class TurnConnection implements DatabaseConnection {
  /** Whether a transaction is open on this connection. */
  hasTurn = false
  /** The number of rows that the open transaction has changed. */
  changed = 0
  readonly #connection: DatabaseConnection
  readonly #path: string
  readonly #turn: SqliteTurn

  constructor(connection: DatabaseConnection, path: string, turn: SqliteTurn) {
    this.#connection = connection
    this.#path = path
    this.#turn = turn
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (loopTurn.isDue(this.hasTurn)) await loopTurn.next()
    if (this.hasTurn || SelectQueryNode.is(query.query)) return this.#execute<R>(query)
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
      throw readOnlyError(this.#path, error) ?? error
    }
  }

  streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#connection.streamQuery<R>(query, chunkSize)
  }
}

/** A statement with RETURNING has rows in place of a number. */
function changedRows({ sql }: CompiledQuery, { numAffectedRows, rows }: QueryResult<unknown>): number {
  if (numAffectedRows !== undefined) return Number(numAffectedRows)
  return rows.length > 0 && /\breturning\b/i.test(sql.slice(-100)) ? rows.length : 0
}

/**
 * Opens the file, or creates it with its folder.
 *
 * Uses WAL with `synchronous=NORMAL`. A commit survives a crash of the process. A power failure may lose the last commits, but never
 * corrupts the file.
 *
 * @param path a file, or `:memory:`
 */
export function openSqlite(path: string): SqliteDatabase {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
  const database = new (nodeSqlite().DatabaseSync)(path)
  try {
    // Set first, so that the switch to WAL waits too when several processes create the file at the same time.
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    database.exec('PRAGMA journal_mode = WAL')
    database.exec('PRAGMA synchronous = NORMAL')
    database.exec('PRAGMA foreign_keys = ON')
  } catch (error) {
    database.close()
    throw error
  }
  return new CachingDatabase(database)
}

/** Caches the {@link CACHED_STATEMENTS} most recently used prepared statements by their text. */
class CachingDatabase implements SqliteDatabase {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, SqliteStatement>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  prepare(text: string): SqliteStatement {
    const known = this.#statements.get(text)
    if (known) this.#statements.delete(text)
    const prepared = known ?? new BoundStatement(wholly(this.#database.prepare(text), text), returnsRows(text))
    this.#statements.set(text, prepared)
    if (this.#statements.size > CACHED_STATEMENTS) {
      const [oldest] = this.#statements.keys()
      if (oldest !== undefined) this.#statements.delete(oldest)
    }
    return prepared
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }
}

/** Throws if the text has more than one statement. SQLite prepares the first and ignores the others. */
function wholly(statement: StatementSync, text: string): StatementSync {
  const first = statement.sourceSQL
  const rest = text.slice(text.indexOf(first) + first.length)
  if (new SqlScanner(rest.replaceAll(';', ' '), 'sqlite').next() === undefined) return statement
  throw new PikoError(
    'USAGE',
    `SQLite would execute only the first statement of this text; send each in a separate call: ${first.slice(0, 100)}`,
  )
}

function exactRow(row: unknown): unknown {
  const object = row as Record<string, unknown>
  for (const [name, value] of Object.entries(object)) if (typeof value === 'bigint') object[name] = exactInteger(value)
  return object
}

class BoundStatement implements SqliteStatement {
  readonly reader: boolean
  readonly #statement: StatementSync
  readonly #answersArrays: boolean

  constructor(statement: StatementSync, reader: boolean) {
    this.#statement = statement
    this.reader = reader
    // Missing before Node 22.16, like `columns`.
    this.#answersArrays = reader && 'setReturnArrays' in statement
    if (this.#answersArrays) statement.setReturnArrays(true)
  }

  all(parameters: readonly unknown[]): unknown[] {
    const isExact = wantsExactIntegers(parameters)
    this.#statement.setReadBigInts(isExact)
    const rows: unknown[] = this.#statement.all(...parameters.map(bound))
    const objects = this.#answersArrays && rows.length > 0 ? rows.map(this.#toObject()) : rows
    return isExact ? objects.map(exactRow) : objects
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#statement.run(...parameters.map(bound))
  }

  *iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    let toObject: ((row: unknown) => unknown) | undefined
    for (const row of this.#statement.iterate(...parameters.map(bound)))
      yield this.#answersArrays ? (toObject ??= this.#toObject())(row) : row
  }

  /**
   * Turns a row's array into an object. Objects that `node:sqlite` makes itself are dictionaries, twice as slow to make and read. Column
   * names are read again for each result, since SQLite prepares a statement again after a schema change.
   */
  #toObject(): (row: unknown) => Record<string, unknown> {
    const names = this.#statement.columns().map(({ name }) => name)
    // Copying an empty object is twice as fast as adding one name at a time.
    const empty: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, null]))
    return (row) => {
      const object = { ...empty }
      for (let index = 0; index < names.length; index++) object[names[index] as string] = (row as unknown[])[index]
      return object
    }
  }
}

function bound(value: unknown, index: number): SQLInputValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return value
    case 'boolean':
      return value ? 1 : 0
    default:
      if (value === null || value instanceof Uint8Array) return value
      if (value instanceof Date) return value.toISOString()
      // node:sqlite would treat an object as a set of named parameters.
      throw new UnstorableValue(
        `SQLite parameter ${index + 1} is ${describe(value)}; expected a string, number, bigint, boolean, Date, Uint8Array or null`,
      )
  }
}
