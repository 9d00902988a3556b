import { CompiledQuery } from 'kysely'
import { propertyOf } from '../../errors-read.ts'
import { describe, PikoError } from '../../errors.ts'
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

/** A transaction of the user's own Kysely. It must belong to the database that Piko uses. */
export interface KyselyTransaction {
  readonly isTransaction: boolean
  executeQuery(query: CompiledQuery): Promise<{ readonly rows: readonly unknown[] }>
  /** Plugins may rename, change or drop the results. */
  withoutPlugins(): Pick<KyselyTransaction, 'executeQuery'>
  /** All transactions of one Kysely share its adapter. */
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
  /** The underlying connection. A pool wraps it in a new object each time. */
  readonly connection?: object
}

/** The transaction that stores a run: of `app.sql.transaction`, of `ctx.commit`, or of the user's own library. */
export type EnqueueTransaction = SqlExecutor | KyselyTransaction | Mysql2Connection

/** Runs the statements of one transaction. */
export interface UserStatement {
  readonly run: Statement
  /**
   * Runs an INSERT and returns the id of its first row, from the answer to this statement: `LAST_INSERT_ID()` would see what the caller
   * inserts at the same time. 0 if the answer has none.
   */
  readonly insert: (text: string, values: readonly unknown[]) => Promise<number>
}

/**
 * Returns functions that run statements in a transaction. They bypass all plugins and options of its library that would change the
 * statements or their results.
 *
 * @throws PikoError `USAGE` if `trx` is not a transaction, none is open on it, or it belongs to another database
 */
export async function statementIn(trx: EnqueueTransaction, database: Database): Promise<UserStatement> {
  if (typeof trx !== 'object' || trx === null) throw refused(describe(trx))
  const dialect = database.dialect.name
  if (isExecutor(trx)) {
    if (trx.dialect !== dialect) throw refused(`of a ${trx.dialect} database, but the app uses ${dialect}`)
    const statement = executorStatement(trx)
    if (!isExecutorOf(trx, database.dialect)) await assertSameDatabase(database, trx, statement.run)
    return statement
  }
  if (isKysely(trx)) {
    const statement = kyselyStatement(trx, dialect)
    await assertSameDatabase(database, trx.getExecutor().adapter, statement.run)
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

function executorStatement(trx: SqlExecutor): UserStatement {
  const paramsOf = (values: readonly unknown[]) => values.map(utcText) as SqlValue[]
  const run: Statement = async (text, values) => {
    if (trx.dialect === 'sqlite' || isRead(text)) return trx.query(text, paramsOf(values))
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

function isRead(text: string): boolean {
  return /^select\b/i.test(text)
}

function kyselyStatement(trx: KyselyTransaction, dialect: Dialect['name']): UserStatement {
  const plain = trx.withoutPlugins()
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
    run: async (text, values) => (await send(text, values)).rows,
    insert: async (text, values) => idOf(await send(text, values)),
  }
}

/** What libraries call the id differs in type. */
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

/** A query with its own values and conversion, which take precedence over the options of the connection. */
function plainly(sql: string): Mysql2Query {
  return { sql, values: [], typeCast: (_field, next) => next() }
}

const SERVER_STATUS_IN_TRANS = 1
const SERVER_STATUS_AUTOCOMMIT = 2

/**
 * Checks that a transaction is open, which every response of the server without rows shows.
 *
 * @returns whether its current database is one that was checked before, if the probe knows any
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

function refused(what: string): PikoError {
  return new PikoError(
    'USAGE',
    `trx is ${what}; expected the trx of app.sql.transaction or ctx.commit, a Kysely transaction, or a connection of mysql2/promise with an open transaction`,
  )
}

/** Whether another library opened the transaction, which may see commits of others. */
export function isForeign(trx: EnqueueTransaction): boolean {
  return !isExecutor(trx)
}

/** Excludes `app.sql`, which has the same methods but would commit immediately. */
function isExecutor(trx: object): trx is SqlExecutor {
  return 'dialect' in trx && 'exec' in trx && 'query' in trx && !('transaction' in trx)
}

/** Excludes a Kysely outside a transaction, which would commit immediately. */
function isKysely(trx: object): trx is KyselyTransaction {
  return (
    'executeQuery' in trx &&
    'getExecutor' in trx &&
    'withoutPlugins' in trx &&
    'isTransaction' in trx &&
    trx.isTransaction === true
  )
}

/** Recognizes a connection for callbacks, whose results Piko can't await. */
function isForCallbacks(trx: object): boolean {
  return 'beginTransaction' in trx && 'execute' in trx && 'promise' in trx
}

/** Excludes a pool, which also has `execute` but would use any connection. */
function isMysql2(trx: object): trx is Mysql2Connection {
  return 'execute' in trx && 'beginTransaction' in trx && 'format' in trx
}
