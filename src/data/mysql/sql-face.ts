import { isPikoError, PikoError, toError } from '../../errors.ts'
import { isContention, retryContention } from '../../sql/contention.ts'
import { endsTransaction, isConnectionLost } from '../../sql/database-faults.ts'
import type { SqlDatabase, SqlExecutor, SqlRow, SqlValue } from '../../sql/sql.ts'
import { boundValues } from './bound-values.ts'
import type { MysqlSource, OpenTransaction, Statements } from './mysql-source.ts'

/** Plain SQL over statements. */
function executorOn(statements: Statements): SqlExecutor {
  return {
    dialect: 'mysql',
    async query<T extends SqlRow>(sql: string, params: readonly SqlValue[] = []) {
      const { rows } = await statements.send(sql, boundValues(params))
      // A CALL returns a list for each of its results.
      const [first] = rows
      return (Array.isArray(first) ? first : rows) as T[]
    },
    async exec(sql, params = []) {
      const { changes } = await statements.send(sql, boundValues(params))
      return { changes }
    },
  }
}

/** The statements of one transaction, which are refused once it has ended. */
export class TransactionFace<X> {
  readonly executor: SqlExecutor
  readonly #open: OpenTransaction<X>
  #ended: PikoError | undefined
  /** Set once the server has rolled the transaction back. It would execute later statements one by one. */
  #lost: unknown

  constructor(open: OpenTransaction<X>) {
    this.#open = open
    this.executor = executorOn({ send: (sql, values) => this.#send(sql, values) })
  }

  get extra(): X {
    return this.#open.extra
  }

  /**
   * @throws PikoError `TRANSACTION_ROLLED_BACK` if the server has rolled it back, `COMMIT_UNKNOWN` if the connection broke during the commit
   */
  async commit(): Promise<void> {
    this.#end()
    if (this.#lost !== undefined) {
      await this.#open.rollback()
      throw rolledBack(this.#lost)
    }
    try {
      await this.#open.commit()
    } catch (error) {
      if (!isConnectionLost(error)) throw error
      const what = 'the connection broke during a commit; the transaction may or may not have been committed'
      throw new PikoError('COMMIT_UNKNOWN', what, { cause: error })
    }
  }

  async rollback(): Promise<void> {
    this.#end()
    await this.#open.rollback()
  }

  #end(): void {
    this.#ended = new PikoError('USAGE', 'this transaction has ended; await every statement before its function ends')
  }

  async #send(sql: string, values: readonly unknown[]): ReturnType<Statements['send']> {
    if (this.#ended) throw this.#ended
    if (this.#lost !== undefined) throw rolledBack(this.#lost)
    try {
      return await this.#open.send(sql, values)
    } catch (error) {
      if (endsTransaction(error) || isConnectionLost(error)) this.#lost = error
      throw error
    }
  }
}

function rolledBack(cause: unknown): PikoError {
  return new PikoError(
    'TRANSACTION_ROLLED_BACK',
    `an earlier statement failed, and the server has rolled the transaction back: ${toError(cause).message}`,
    { cause },
  )
}

/** The face that sinks and other code use outside of a run's transaction. */
export function databaseOn<X>(source: () => Promise<MysqlSource<X>>): SqlDatabase {
  const plain = executorOn({ send: async (sql, values) => (await source()).send(sql, values) })
  return {
    ...plain,
    query: (sql, params) => retryContention(() => plain.query(sql, params), isContention),
    exec: (sql, params) => retryContention(() => plain.exec(sql, params), isContention),
    async transaction(fn) {
      const face = new TransactionFace(await (await source()).begin(undefined))
      try {
        const value = await fn(face.executor)
        await face.commit()
        return value
      } catch (error) {
        if (!isPikoError(error, 'COMMIT_UNKNOWN')) await face.rollback().catch(() => {})
        throw error
      }
    },
  }
}
