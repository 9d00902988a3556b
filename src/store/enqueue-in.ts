import { CompiledQuery } from 'kysely'
import { describe, PikoError } from '../errors.ts'
import { type SqlExecutor, type SqlValue } from '../sink/sql.ts'
import { type Database } from './database.ts'
import { idsFrom, insertRunsText, LAST_INSERT, type LastInsert, type NewRow, statementsOf } from './insert-rows.ts'
import { type NewRun, type RunStore } from './run-store.ts'
import { type RunQuery, storeUnique } from './unique-run.ts'

/** A transaction of the user's own Kysely; the database must be the one that Piko runs on. */
export interface KyselyTransaction {
  readonly isTransaction: boolean
  executeQuery(query: CompiledQuery): Promise<{ readonly rows: readonly unknown[] }>
}

/** A connection of `mysql2/promise` on which a transaction is open. */
export interface Mysql2Connection {
  query(sql: string): Promise<[unknown, unknown]>
  execute(sql: string, values: SqlValue[]): Promise<[unknown, unknown]>
  unprepare(sql: string): unknown
  beginTransaction(): Promise<void>
}

/** The transaction that a run is stored in: of `app.sql.transaction`, of `ctx.commit`, or of the user's own library. */
export type EnqueueTransaction = SqlExecutor | KyselyTransaction | Mysql2Connection

/** Runs a statement in somebody else's transaction and returns the rows that it answers. */
type Statement = (text: string, values: SqlValue[]) => Promise<readonly unknown[]>

/**
 * Stores runs inside of a transaction that somebody else commits or rolls back. Returns their ids in order.
 *
 * @throws PikoError `USAGE` when `trx` is none of these, or no transaction is open on it
 */
export async function enqueueIn(
  database: Database,
  runs: RunStore,
  trx: EnqueueTransaction,
  requests: readonly NewRun[],
): Promise<number[]> {
  const statement = await statementIn(trx)
  const query: RunQuery = (compilable) => {
    const { sql, parameters } = compilable.compile()
    return statement(sql, parameters.map(inUtc))
  }
  if (!requests.some(({ unique }) => unique))
    return insertIn(
      database,
      query,
      requests.map((run) => runs.row(run)),
    )
  const ids: number[] = []
  for (const run of requests) {
    const row = runs.row(run)
    const insert = async (): Promise<number> => (await insertIn(database, query, [row]))[0] as number
    ids.push(await (run.unique ? storeUnique(database, query, run.jobId, run.unique, row, insert) : insert()))
  }
  return ids
}

async function insertIn({ dialect }: Database, query: RunQuery, rows: readonly NewRow[]): Promise<number[]> {
  const ids: number[] = []
  for (const part of statementsOf(dialect, rows)) {
    const insert = { compile: () => insertRunsText(dialect, part) }
    if (dialect.name === 'sqlite') {
      const stored = (await query(insert)) as { id: number }[]
      ids.push(...stored.map(({ id }) => Number(id)))
    } else {
      await query(insert)
      const [last] = await query({ compile: () => CompiledQuery.raw(LAST_INSERT) })
      ids.push(...idsFrom(last as LastInsert, part.length))
    }
  }
  return ids
}

/** As text: a connection of the user's own shifts a `Date` to the time zone that its driver was given, by default the machine's. */
function inUtc(value: unknown): SqlValue {
  return value instanceof Date ? value.toISOString().replace('T', ' ').replace('Z', '') : (value as SqlValue)
}

async function statementIn(trx: EnqueueTransaction): Promise<Statement> {
  if (isExecutor(trx)) return executorStatement(trx)
  if (isKysely(trx)) return async (text, values) => (await trx.executeQuery(CompiledQuery.raw(text, values))).rows
  if (isMysql2(trx)) {
    await assertOpen(trx)
    return mysql2Statement(trx)
  }
  throw noTransaction(describe(trx))
}

function executorStatement(trx: SqlExecutor): Statement {
  return async (text, values) => {
    if (trx.dialect === 'sqlite' || isRead(text)) return trx.query(text, values)
    await trx.exec(text, values)
    return []
  }
}

function mysql2Statement(trx: Mysql2Connection): Statement {
  return async (text, values) => {
    if (values.length === 0) return (await trx.query(text))[0] as unknown[]
    // Prepared: escaped into the text, values would depend on the session's `sql_mode`.
    const [answer] = await trx.execute(text, values)
    // Else the server keeps one statement for each number of rows.
    trx.unprepare(text)
    return Array.isArray(answer) ? (answer as unknown[]) : []
  }
}

function isRead(text: string): boolean {
  return /^select\b/i.test(text)
}

const SERVER_STATUS_IN_TRANS = 1
const SERVER_STATUS_AUTOCOMMIT = 2

/** Every answer of the server says whether a transaction is open. */
async function assertOpen(trx: Mysql2Connection): Promise<void> {
  const [answer] = await trx.query('DO 0')
  const { serverStatus } = answer as { serverStatus: number }
  const commitsAtOnce = (serverStatus & SERVER_STATUS_IN_TRANS) === 0 && (serverStatus & SERVER_STATUS_AUTOCOMMIT) !== 0
  if (commitsAtOnce) throw noTransaction('a connection on which no transaction is open')
}

function noTransaction(what: string): PikoError {
  return new PikoError(
    'USAGE',
    `trx is ${what}; expected the trx of app.sql.transaction or ctx.commit, a Kysely transaction, or a connection of mysql2/promise on which a transaction is open`,
  )
}

/** `app.sql` has these too, and would commit at once. */
function isExecutor(trx: object): trx is SqlExecutor {
  return 'dialect' in trx && 'exec' in trx && 'query' in trx && !('transaction' in trx)
}

/** A Kysely that is no transaction would commit at once. */
function isKysely(trx: object): trx is KyselyTransaction {
  return 'executeQuery' in trx && 'isTransaction' in trx && trx.isTransaction === true
}

/** A pool has `execute` too, and would take any connection; a connection for callbacks, which has `promise`, would not be waited for. */
function isMysql2(trx: object): trx is Mysql2Connection {
  return 'execute' in trx && 'beginTransaction' in trx && !('promise' in trx)
}
