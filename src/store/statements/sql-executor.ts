import { wrongCall } from '../../call-options.ts'
import { counted } from '../../counted.ts'
import { aFunction } from '../../options.ts'
import { CompiledQuery, type Kysely, type QueryResult } from 'kysely'
import { describe, PikoError } from '../../errors.ts'
import { retryContention } from '../../sql/contention.ts'
import { callSignal } from '../../offload/signal.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import type { SqlDatabase, SqlExecutor, SqlFile, SqlRow, SqlValue } from '../../sql/sql.ts'
import type { Dialect } from '../connection/dialect.ts'
import { withExactIntegers } from './exact-integers.ts'
import { type LocalFile, withLocalFile } from '../connection/mysql/local-file.ts'
import type { OwnTransaction } from '../connection/own-transaction.ts'
import { assertFits } from '../connection/packet-size.ts'
import { inspectSql } from './sql-rules.ts'
import { endedTransaction, transactionEnded, transactionGivenUp } from './ended-transaction.ts'
import { asDouble, bindable } from './sql-values.ts'
import type { Tables } from '../tables.ts'
import { transactionOnce } from '../connection/transaction.ts'
import { requestedMs, TransactionDeadline, type TransactionLimits } from '../connection/transaction-limit.ts'

export interface SqlDatabaseParts {
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  readonly location: string
  readonly own: OwnTransaction
  readonly limits: TransactionLimits
}

/**
 * Creates the object for plain SQL on the store's own connections. Repeats a single statement after a deadlock, a lock timeout or a busy
 * file. Runs a transaction only once, because only its caller knows whether it may be repeated.
 *
 * On SQLite, its calls reject with `USAGE` inside the function of a transaction of this database.
 */
export function sqlDatabase({ db, dialect, location, own, limits }: SqlDatabaseParts): SqlDatabase {
  const single = executorOn(db, dialect, 'outside', (send) => send())
  return {
    dialect: dialect.name,
    maxStatementBytes: dialect.sizes.statement,
    async query(text, params) {
      own.assertOutside('sql.query')
      return retryContention(() => single.query(text, params))
    },
    async exec(text, params) {
      own.assertOutside('sql.exec')
      return retryContention(() => single.exec(text, params))
    },
    async transaction(fn, options) {
      own.assertOutside('sql.transaction')
      const problem = aFunction(fn)
      if (problem !== undefined) throw wrongCall('sql.transaction', [`fn ${problem}`])
      const limit = { ms: requestedMs(limits, options), giveUp: runSignal() }
      return transactionOnce(db, location, (trx) => own.enter(() => withExecutor(trx, dialect, limit, fn)))
    },
  }
}

/**
 * Returns the signal of the run whose handler makes this call. Undefined if that signal has aborted, because the call may come from a timer
 * that several handlers share.
 */
function runSignal(): AbortSignal | undefined {
  const signal = callSignal(undefined)
  return signal?.aborted ? undefined : signal
}

/** What can end a transaction before its function has ended. */
export interface ExecutorLimit {
  readonly ms: number
  /** Aborts when the caller no longer wants the transaction. */
  readonly giveUp?: AbortSignal | undefined
}

/**
 * Calls `fn` with plain SQL in a transaction, and refuses its statements when `fn` has ended or the limit is reached. After that, the
 * caller can end the transaction even if `fn` never ends.
 *
 * Kysely marks a transaction as ended only when the server has answered. If `fn` sent a statement before that, the statement would run
 * after the COMMIT or ROLLBACK, outside the transaction.
 *
 * @throws the error of `fn`, the reason of `giveUp`, or PikoError `TRANSACTION_TIMEOUT`
 */
export async function withExecutor<T>(
  trx: Kysely<Tables>,
  dialect: Dialect,
  { ms, giveUp }: ExecutorLimit,
  fn: (trx: SqlExecutor) => Promise<T>,
): Promise<T> {
  const turns = new Turns()
  const deadline = new TransactionDeadline(ms, giveUp)
  const executor = executorOn(trx, dialect, 'inside', (send) => turns.take(send))
  try {
    const value = await untilAborted((async () => fn(executor))(), deadline.signal)
    await turns.end('done')
    return value
  } catch (error) {
    await turns.end('failed', deadline.signal.aborted ? transactionGivenUp(error) : undefined)
    throw error
  } finally {
    deadline.release()
  }
}

/** Sends the statements of a transaction one after another, because a connection executes one statement at a time. */
class Turns {
  #state: 'open' | 'done' | 'failed' = 'open'
  #refusal: PikoError | undefined
  #last: Promise<unknown> = Promise.resolve()

  async take<T>(send: () => Promise<T>): Promise<T> {
    if (this.#state !== 'open') throw this.#refusal ?? transactionEnded()
    const turn = this.#last.then(() => {
      if (this.#state === 'failed') throw this.#refusal ?? transactionEnded()
      return send()
    })
    this.#last = turn.catch(() => {})
    return turn
  }

  /**
   * Refuses further statements. After a failure, also refuses those that are waiting for their turn. Resolves when no statement is running.
   */
  async end(state: 'done' | 'failed', refusal?: PikoError): Promise<void> {
    this.#state = state
    this.#refusal = refusal
    await this.#last
  }
}

type Send = <T>(send: () => Promise<T>) => Promise<T>

function executorOn(db: Kysely<Tables>, dialect: Dialect, place: 'inside' | 'outside', inTurn: Send): SqlExecutor {
  const run = async <T>(text: string, params: readonly SqlValue[], file?: LocalFile): Promise<QueryResult<T>> => {
    try {
      const statement = checked(dialect, place, text, params)
      if (file) withLocalFile(statement.parameters, file)
      return await inTurn(() => db.executeQuery<T>(statement))
    } catch (error) {
      throw endedTransaction(error) ?? error
    }
  }
  const executor: SqlExecutor = {
    dialect: dialect.name,
    maxStatementBytes: dialect.sizes.statement,
    async query<T extends SqlRow>(text: string, params: readonly SqlValue[] = []) {
      const { rows } = await run<T>(text, params)
      // A CALL returns several results, each with its own list of rows.
      const [first] = rows
      return Array.isArray(first) ? first : rows
    },
    async exec(text, params = []) {
      const { numAffectedRows, rows } = await run(text, params)
      return { changes: Number(numAffectedRows ?? (RETURNING.test(text) ? rows.length : 0)) }
    },
    ...(dialect.name === 'mysql' && {
      load: async (text: string, chunks: SqlFile) => {
        const file: LocalFile = { chunks, warnings: 0 }
        const { numAffectedRows } = await run(text, [], file)
        return { changes: Number(numAffectedRows ?? 0n), warnings: file.warnings }
      },
    }),
  }
  dialects.set(executor, dialect)
  inserts.set(executor, async (text, params) => Number((await run(text, params)).insertId ?? 0))
  return executor
}

/** Runs an INSERT and returns the id that the database gave to its first row, or 0 if it gave none. */
export type Insert = (text: string, params: readonly SqlValue[]) => Promise<number>

/** Matches a statement that returns the rows that it changes. Its result has no other number of them. */
const RETURNING = /\breturning\b/i

const inserts = new WeakMap<SqlExecutor, Insert>()

/** Returns the insert function of an executor, or undefined if the executor is not Piko's own. */
export function insertOf(executor: SqlExecutor): Insert | undefined {
  return inserts.get(executor)
}

/**
 * The dialect object of each executor. Every open database has its own object, so two executors with the same object use the same database.
 */
const dialects = new WeakMap<SqlExecutor, Dialect>()

export function isExecutorOf(executor: SqlExecutor, dialect: Dialect): boolean {
  return dialects.get(executor) === dialect
}

/** The limit of SQLite. MySQL has none for statements that are sent as text. */
const MAX_SQLITE_PARAMETERS = 32_766

/**
 * Checks a statement before it is sent. Refuses it if it begins or ends a transaction, would change the connection for later statements, or
 * can't be sent as one statement with these parameters.
 *
 * @throws PikoError `USAGE`, `STATEMENT_TOO_LARGE`
 */
function checked(
  { name, sizes }: Dialect,
  place: 'inside' | 'outside',
  text: unknown,
  params: unknown,
): CompiledQuery<never> {
  if (typeof text !== 'string') throw refused(describe(text), 'it is not a string')
  if (!Array.isArray(params)) throw refused(text, `its parameters are ${describe(params)}; expected a list`)
  const statement = inspectSql(text, name)
  const problem = statement.problem ?? (place === 'inside' ? statement.insideProblem : statement.outsideProblem)
  if (problem !== undefined) throw refused(text, problem)
  if (params.length !== statement.placeholders) {
    throw refused(
      text,
      `it has ${counted(statement.placeholders, 'placeholder')}, but got ${counted(params.length, 'parameter')}`,
    )
  }
  if (name === 'sqlite' && params.length > MAX_SQLITE_PARAMETERS) {
    throw refused(
      text,
      `it has ${params.length} parameters; SQLite accepts ${MAX_SQLITE_PARAMETERS}: send fewer rows at a time`,
    )
  }
  const values = Array.from(params, bindable)
  assertFits(statement.text, values, sizes.statement)
  return CompiledQuery.raw(statement.text, withExactIntegers(name === 'mysql' ? values.map(asDouble) : values))
}

const MAX_SHOWN = 100

function refused(text: string, problem: string): PikoError {
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  return new PikoError('USAGE', `this SQL is refused: ${problem}; it was not executed: ${shown}`, {
    details: { sql: shown, problem },
  })
}
