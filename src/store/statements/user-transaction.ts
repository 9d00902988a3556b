import { CompiledQuery } from 'kysely'
import { headline, isObject, propertyOf } from '../../errors-read.ts'
import { describe, isPikoError, PikoError, toError } from '../../errors.ts'
import { hasCode } from '../../sql/contention.ts'
import { isList } from '../../options.ts'
import type { SqlExecutor, SqlValue } from '../../sql/sql.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { endedTransaction } from './ended-transaction.ts'
import { literalSql, utcText } from './literal-sql.ts'
import {
  assertSameDatabase,
  assertSameServerOnce,
  isElsewhere,
  NO_PROBE,
  probeOf,
  type Statement,
} from './same-database.ts'
import { insertOf, isExecutorOf } from './sql-executor.ts'

/** A transaction of the user's own Kysely. It must use the same database as Piko. */
export interface KyselyTransaction {
  readonly isTransaction: boolean
  executeQuery(query: CompiledQuery): Promise<{ readonly rows: readonly unknown[] }>
  /** Returns the transaction without plugins, because plugins may rename, change or drop results. */
  withoutPlugins(): Pick<KyselyTransaction, 'executeQuery'>
  /** Returns the executor. All transactions of one Kysely share its adapter. */
  getExecutor(): { readonly adapter: object }
}

interface Mysql2Query {
  sql: string
  values: unknown[]
  typeCast: (field: unknown, next: () => unknown) => unknown
}

/** A connection of `mysql2/promise` on which a transaction is open. */
export interface Mysql2Connection {
  query(options: Mysql2Query): Promise<[unknown, unknown]>
  execute(sql: string, values: SqlValue[]): Promise<[unknown, unknown]>
  format(sql: string, values: unknown[]): string
  beginTransaction(): Promise<void>
  /** The underlying connection. A pool wraps the same connection in a new object each time. */
  readonly connection?: object
}

/** The transaction that stores a run: from `app.sql.transaction`, from `ctx.commit`, or from the user's own library. */
export type EnqueueTransaction = SqlExecutor | KyselyTransaction | Mysql2Connection

/** Runs the statements of one transaction. */
export interface UserStatement {
  readonly run: Statement
  /**
   * Runs an INSERT and returns the id of its first row, or 0 if the answer has no id. The id comes from the answer to this statement.
   * `LAST_INSERT_ID()` would not be safe, because it also sees rows that the caller inserts at the same time.
   */
  readonly insert: (text: string, values: readonly unknown[]) => Promise<number>
}

/**
 * Returns functions that run statements in a transaction. They bypass all plugins and options of the user's library that would change the
 * statements or their results.
 *
 * @throws PikoError `USAGE` if `trx` is not a transaction, none is open on it, or it belongs to another database
 */
export async function statementIn(trx: EnqueueTransaction, database: Database): Promise<UserStatement> {
  try {
    return clearly(await statementOf(trx, database))
  } catch (error) {
    throw clearError(error)
  }
}

async function statementOf(trx: EnqueueTransaction, database: Database): Promise<UserStatement> {
  if (typeof trx !== 'object' || trx === null) throw refused(describe(trx))
  const dialect = database.dialect.name
  assertReadable(trx)
  if (isExecutor(trx)) {
    if (trx.dialect !== dialect) throw refused(`of a ${trx.dialect} database, but the app uses ${dialect}`)
    const statement = executorStatement(trx)
    if (!isExecutorOf(trx, database.dialect)) await assertSameDatabase(database, trx, statement.run)
    return statement
  }
  if (isKysely(trx)) {
    const statement = kyselyStatement(trx, dialect)
    const adapter = propertyOf(trx.getExecutor(), 'adapter')
    if (!isObject(adapter)) throw refused('an object like a Kysely transaction without an adapter')
    await assertSameDatabase(database, adapter, statement.run)
    return statement
  }
  if (isForCallbacks(trx)) throw refused('a callback connection of mysql2; pass its connection.promise()')
  if (!isMysql2(trx)) throw refused(describe(trx))
  if (dialect === 'sqlite') throw refused('a connection of mysql2, but the app uses sqlite')
  const statement = mysql2Statement(trx)
  const connection = trx.connection ?? trx
  const isKnown = await assertOpen(trx, probeOf(database, connection))
  await assertSameServerOnce(database, connection, statement.run, isKnown)
  if (!isKnown) await assertOpen(trx, NO_PROBE)
  return statement
}

/** Returns the same functions, but their errors explain what is wrong with the transaction. */
function clearly({ run, insert }: UserStatement): UserStatement {
  return {
    run: (text, values) => run(text, values).catch((error: unknown) => Promise.reject(clearError(error))),
    insert: (text, values) => insert(text, values).catch((error: unknown) => Promise.reject(clearError(error))),
  }
}

/** MySQL's error number for a write in a transaction that the caller started as read-only. */
const MYSQL_READ_ONLY = 1792
const SQLITE_READ_ONLY = 8

/**
 * If an error shows that `trx` is unsuitable, returns an error that explains why. Returns any other error unchanged, so that the user can
 * handle it.
 */
function clearError(error: unknown): Error {
  const isReadOnly =
    hasCode(error, 'errno', (errno) => errno === MYSQL_READ_ONLY) ||
    hasCode(error, 'errcode', (code) => (code & 0xff) === SQLITE_READ_ONLY)
  if (isReadOnly && !isPikoError(error)) return refused('a transaction that may only read', error)
  return toError(error)
}

/** Reads all properties that identify a transaction, because a proxy may throw when one of them is read. */
function assertReadable(trx: object): void {
  try {
    for (const name of RECOGNIZED) if (name in trx) Reflect.get(trx, name)
  } catch (thrown) {
    throw refused(`an object that can't be read: reading it threw ${headline(thrown)}`, thrown)
  }
}

const RECOGNIZED = [
  ...['dialect', 'exec', 'query', 'transaction', 'executeQuery', 'getExecutor', 'withoutPlugins', 'isTransaction'],
  ...['beginTransaction', 'execute', 'format', 'promise', 'connection'],
]

function executorStatement(trx: SqlExecutor): UserStatement {
  const paramsOf = (values: readonly unknown[]) => values.map(utcText) as SqlValue[]
  const run: Statement = async (text, values) => {
    if (trx.dialect === 'sqlite' || isRead(text)) return rowsOf(await trx.query(text, paramsOf(values)))
    await trx.exec(text, paramsOf(values))
    return []
  }
  const own = insertOf(trx)
  return {
    run,
    insert: async (text, values) => {
      if (own) return own(text, paramsOf(values))
      await run(text, values)
      return 0
    },
  }
}

/** Returns the rows of an answer. The user may pass any object with the right methods, so the answer may be anything. */
function rowsOf(answer: unknown): readonly unknown[] {
  if (isList(answer)) return answer
  throw refused(`an object whose query returned ${describe(answer)} instead of rows`)
}

function isRead(text: string): boolean {
  return /^select\b/i.test(text)
}

function kyselyStatement(trx: KyselyTransaction, dialect: Dialect['name']): UserStatement {
  const plain = trx.withoutPlugins()
  if (!isObject(plain) || !isCallable(plain, 'executeQuery'))
    throw refused("an object like a Kysely transaction that can't run queries")
  const send = async (text: string, values: readonly unknown[]) => {
    const query =
      dialect === 'mysql' ? CompiledQuery.raw(literalSql(text, values)) : CompiledQuery.raw(text, [...values])
    try {
      return await plain.executeQuery(query)
    } catch (error) {
      throw endedTransaction(error) ?? error
    }
  }
  return {
    run: async (text, values) => rowsOf(propertyOf(await send(text, values), 'rows')),
    insert: async (text, values) => idOf(await send(text, values)),
  }
}

/** Returns the id in an answer. Libraries return it in different types. */
function idOf(answer: unknown): number {
  return Number(propertyOf(answer, 'insertId') ?? 0)
}

function mysql2Statement(trx: Mysql2Connection): UserStatement {
  const send = async (text: string, values: readonly unknown[]): Promise<unknown> => {
    const query = plainly(literalSql(text, values))
    if (trx.format(query.sql, []) !== query.sql) {
      throw refused("a mysql2 connection whose option queryFormat changes Piko's SQL; pass one without queryFormat")
    }
    const [answer] = await trx.query(query)
    return answer
  }
  return {
    run: async (text, values) => {
      const answer = await send(text, values)
      return Array.isArray(answer) ? (answer as unknown[]) : []
    },
    insert: async (text, values) => idOf(await send(text, values)),
  }
}

/** Returns a query with its own values and type conversion, which override the options of the connection. */
function plainly(sql: string): Mysql2Query {
  return { sql, values: [], typeCast: (_field, next) => next() }
}

const SERVER_STATUS_IN_TRANS = 1
const SERVER_STATUS_AUTOCOMMIT = 2

/**
 * Checks that a transaction is open. The server shows this in every answer without rows.
 *
 * @returns false if the probe shows that the connection's current database was not checked before
 */
async function assertOpen(trx: Mysql2Connection, probe: string): Promise<boolean> {
  let answer: unknown
  try {
    answer = (await trx.query(plainly(probe)))[0]
  } catch (error) {
    if (!isElsewhere(error)) throw error
    return false
  }
  const { serverStatus } = answer as { serverStatus: number }
  const commitsAtOnce = (serverStatus & SERVER_STATUS_IN_TRANS) === 0 && (serverStatus & SERVER_STATUS_AUTOCOMMIT) !== 0
  if (commitsAtOnce) throw refused('a connection without an open transaction')
  return true
}

function refused(what: string, cause?: unknown): PikoError {
  return new PikoError(
    'USAGE',
    `trx is ${what}; expected the trx of app.sql.transaction or ctx.commit, a Kysely transaction, or a connection of mysql2/promise with an open transaction`,
    cause === undefined ? {} : { cause },
  )
}

/** Whether another library opened the transaction. Then its isolation level is unknown. */
export function isForeign(trx: EnqueueTransaction): boolean {
  return !isExecutor(trx)
}

/** Whether the object is an executor of a transaction. Excludes `app.sql`, which has the same methods but would commit immediately. */
function isExecutor(trx: object): trx is SqlExecutor {
  return 'dialect' in trx && isCallable(trx, 'exec') && isCallable(trx, 'query') && !('transaction' in trx)
}

/** Whether the object is a Kysely transaction. Excludes a Kysely without a transaction, which would commit immediately. */
function isKysely(trx: object): trx is KyselyTransaction {
  return (
    isCallable(trx, 'executeQuery') &&
    isCallable(trx, 'getExecutor') &&
    isCallable(trx, 'withoutPlugins') &&
    'isTransaction' in trx &&
    trx.isTransaction === true
  )
}

/** Whether the object is a connection with callbacks, whose results Piko can't await. */
function isForCallbacks(trx: object): boolean {
  return isCallable(trx, 'beginTransaction') && isCallable(trx, 'execute') && 'promise' in trx
}

/** Whether the object is a mysql2 connection. Excludes a pool, which also has `execute` but would use any of its connections. */
function isMysql2(trx: object): trx is Mysql2Connection {
  return isCallable(trx, 'execute') && isCallable(trx, 'beginTransaction') && isCallable(trx, 'format')
}

function isCallable(trx: object, name: string): boolean {
  return typeof propertyOf(trx, name) === 'function'
}
