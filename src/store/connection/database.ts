import { type Dialect as KyselyDialect, Kysely, sql, type Transaction } from 'kysely'
import { isError } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { PoolFigures } from '../../ledger/node-figures.ts'
import { retryContention } from '../../sql/contention.ts'
import type { SqlDatabase } from '../../sql/sql.ts'
import { noted } from '../events/notes.ts'
import { Recording } from '../events/recording.ts'
import { BrokenRows } from '../values/broken-rows.ts'
import { type DatabaseClock, type Dialect, mysqlDialect, sqliteDialect } from './dialect.ts'
import { PikoMysqlDialect } from './mysql/mysql-driver.ts'
import { type ConnectionQuery, type MysqlOptions, MysqlPool } from './mysql/mysql-pool.ts'
import { tlsAdvice } from './mysql/mysql-tls.ts'
import { OwnTransaction } from './own-transaction.ts'
import { sizesOf } from './packet-size.ts'
import { requireConnections } from './mysql/pool-size.ts'
import { featuresOf } from './mysql/server-version.ts'
import { sqlDatabase } from '../statements/sql-executor.ts'
import { sqliteAdvice } from './sqlite/sqlite-advice.ts'
import { NodeSqliteDialect } from './sqlite/sqlite-driver.ts'
import { type OpenedFile, openedFiles } from './sqlite/sqlite-files.ts'
import type { Tables } from '../tables.ts'
import { transactionRepeated } from './transaction.ts'
import { DEFAULT_TRANSACTION_LIMITS, requestedMs, type TransactionLimits } from './transaction-limit.ts'

export interface OpenOptions {
  /** A MySQL 5.7+ or MariaDB 10.3+ server. Takes precedence over `sqlitePath`. */
  readonly mysql?: MysqlOptions | undefined
  /** The path of the SQLite file. Default: `.piko/piko.db`. Piko creates a missing folder. */
  readonly sqlitePath?: string | undefined
  /** The time limits of users' transactions. */
  readonly transactions?: TransactionLimits | undefined
  /** Replaces the database's clock in tests. */
  readonly clock?: DatabaseClock | undefined
}

/** The open store database: one pool of MySQL connections in READ COMMITTED, or one SQLite file. */
export interface Database {
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  /** Plain SQL on the same connections. */
  readonly sql: SqlDatabase
  /** The maximum size of a run's input or output as JSON, in bytes. Also available while the database is closed. */
  readonly maxValueBytes: number
  /**
   * The files of an SQLite database when it was opened: the database and the files of its log. Empty for a server or a database in memory.
   */
  readonly files: readonly OpenedFile[]
  /** Reports rows that readers skip because they can't be read. */
  readonly broken: BrokenRows
  /** Whether transactions record their changes for the readers of events. */
  readonly recording: Recording
  /** The location of the database for messages, without the password. */
  readonly location: string
  /** The ids that the server gave the open connections, in ascending order. Empty on SQLite. */
  readonly connectionIds: () => readonly number[]
  /** The pool's connections. Undefined on SQLite. */
  readonly poolFigures?: () => PoolFigures | undefined
  /** Called for each new connection of MySQL, with a function that queries it. The connection is used when the result resolves. */
  onConnection: (query: ConnectionQuery) => Promise<unknown>
  /**
   * Runs `fn` in one transaction: READ COMMITTED on MySQL, `BEGIN IMMEDIATE` on SQLite. Commits when `fn` resolves, rolls back when it
   * rejects.
   *
   * Runs the whole of `fn` again after a deadlock, a lock timeout, a busy file or a connection that breaks before the commit is sent. So
   * `fn` must not have effects outside the database. Waits for a random time before each retry. Keeps trying for at least 10 s after
   * contention, but tries at most 8 times in all if the connection breaks.
   *
   * @throws PikoError `COMMIT_UNKNOWN` if the connection broke after the commit was sent
   */
  readonly transaction: <T>(fn: (trx: Transaction<Tables>) => Promise<T>) => Promise<T>
  /** Retries one statement in the same way, but not after a lost connection, because the server may have executed it. */
  readonly retry: <T>(fn: () => Promise<T>) => Promise<T>
  /** The time limit of a function that writes in one of Piko's own transactions, as in `ctx.commit`, a step or an item. In milliseconds. */
  readonly transactionMs: number
  /** Runs the function of a user's transaction. Recognises calls in it that do not use its `trx`. */
  readonly enter: <T>(body: () => Promise<T>) => Promise<T>
  /** Whether the caller is inside the function of a user's transaction. */
  readonly isInside: () => boolean
  /** @throws PikoError `USAGE` inside the function of a user's transaction, on a database with one connection */
  readonly assertOutside: (what: string) => void
  /**
   * On MySQL, rejects every call that is waiting for the database, and every later call. Has no effect on SQLite. Called when the process
   * no longer waits for answers.
   */
  readonly cut: () => void
  /** Waits for running statements, on MySQL at most 5 s. Safe to call twice. */
  readonly close: () => Promise<void>
}

export const DEFAULT_SQLITE_PATH = '.piko/piko.db'

/**
 * Opens the database and makes one round trip to check that it answers.
 *
 * @throws PikoError `DATABASE_UNREACHABLE` if it does not answer, `DATABASE_UNSUPPORTED` if the server is too old or its
 * `max_allowed_packet` too small, `SETTINGS_INVALID` if the pool is larger than the server allows or a parameter of the DSN is invalid
 */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  return options.mysql ? openMysql(options.mysql, options) : openFile(options.sqlitePath, options)
}

async function openMysql(options: MysqlOptions, { clock, transactions }: OpenOptions): Promise<Database> {
  const { host, port, database } = options
  const location = `${options.params?.['unix_socket'] ?? `${host}:${port}`}/${database}`
  const pool = new MysqlPool(options)
  const db = kyselyOn(new PikoMysqlDialect({ pool }))
  try {
    const { rows } = await sql<{ version: string; most: number; packet: number; rollsBack: number }>`
      SELECT VERSION() AS version, @@max_connections AS most, @@max_allowed_packet AS packet,
        @@innodb_rollback_on_timeout AS rollsBack
    `.execute(db)
    pool.rollsBackOnTimeout = Number(rows[0]?.rollsBack) === 1
    const { skipsLocked } = featuresOf(rows[0]?.version ?? '', location)
    requireConnections(options.poolSize, Number(rows[0]?.most), location)
    const sizes = sizesOf(Number(rows[0]?.packet), location)
    pool.maxStatementBytes = sizes.statement
    const dialect = mysqlDialect(options.skipLocked ?? skipsLocked, sizes, clock)
    const connectionIds = (): readonly number[] => pool.threadIds
    const opened = assemble({
      db,
      dialect,
      location,
      transactions,
      cut: () => pool.cut(),
      connectionIds,
      poolFigures: () => pool.figures,
    })
    pool.onOpened = (query) => opened.onConnection(query)
    return opened
  } catch (error) {
    await db.destroy()
    if (error instanceof PikoError) throw error
    throw unreachable(`MySQL at ${location}`, error, mysqlAdvice(error, options))
  }
}

async function openFile(path = DEFAULT_SQLITE_PATH, { clock, transactions }: OpenOptions): Promise<Database> {
  const db = kyselyOn(new NodeSqliteDialect(path))
  const opened = assemble({ db, dialect: sqliteDialect(clock), location: path, transactions })
  try {
    await opened.retry(() => sql`SELECT count(*) FROM sqlite_schema`.execute(opened.db))
    return { ...opened, files: path === ':memory:' ? [] : openedFiles(path) }
  } catch (error) {
    await opened.close()
    if (error instanceof PikoError) throw error
    throw unreachable(`SQLite file ${path}`, error, sqliteAdvice(path, error))
  }
}

const kyselyOn = (dialect: KyselyDialect): Kysely<Tables> => new Kysely<Tables>({ dialect })

interface Assembled {
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  readonly location: string
  readonly transactions: TransactionLimits | undefined
  readonly cut?: () => void
  readonly connectionIds?: () => readonly number[]
  readonly poolFigures?: () => PoolFigures
}

function assemble(assembled: Assembled): Database {
  const { db, dialect, location, transactions, cut = () => {}, connectionIds = () => [], poolFigures } = assembled
  const limits = transactions ?? DEFAULT_TRANSACTION_LIMITS
  const own = new OwnTransaction(dialect.name === 'sqlite')
  const recording = new Recording()
  return {
    db,
    dialect,
    files: [],
    broken: new BrokenRows(),
    recording,
    maxValueBytes: dialect.sizes.value,
    transactionMs: requestedMs(limits),
    sql: sqlDatabase({ db, dialect, location, own, limits }),
    enter: (body) => own.enter(body),
    isInside: () => own.isInside,
    assertOutside: (what) => own.assertOutside(what),
    location,
    connectionIds,
    ...(poolFigures && { poolFigures }),
    onConnection: () => Promise.resolve(),
    transaction: (fn) => transactionRepeated(db, location, (trx) => noted(trx, dialect, recording, () => fn(trx))),
    retry: (fn) => retryContention(fn),
    cut,
    close: () => db.destroy(),
  }
}

function mysqlAdvice(error: unknown, options: MysqlOptions): string {
  switch (codeOf(error)) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
      return `check the DSN's user "${options.user}", its password and its grants`
    case 'ER_BAD_DB_ERROR':
      return `create it: CREATE DATABASE \`${options.database}\` CHARACTER SET utf8mb4`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `check the host name in the DSN`
    case 'ER_CON_COUNT_ERROR':
      return `raise the server's max_connections or lower pool_size`
    default:
      return tlsAdvice(error) ?? 'check that the server runs and that the host and port in the DSN are right'
  }
}

function unreachable(what: string, error: unknown, advice: string): PikoError {
  const reason = reasonOf(error)
  return new PikoError('DATABASE_UNREACHABLE', `cannot open ${what}: ${reason}; ${advice}`, {
    cause: error,
    details: { location: what, reason },
  })
}

/** Returns the reason of an error. If a host has several addresses, the error is an `AggregateError` with an empty message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(reasonOf).join(', ')
  return isError(error) ? error.message || codeOf(error) || error.name : String(error)
}

function codeOf(error: unknown): string | undefined {
  return isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
