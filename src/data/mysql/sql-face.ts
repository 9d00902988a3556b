import { isPikoError, PikoError, toError } from '../../errors.ts'
import { isContention, retryContention } from '../../sql/contention.ts'
import { endsTransaction, isConnectionLost } from '../../sql/database-faults.ts'
import type { SqlDatabase, SqlExecutor, SqlRow, SqlValue } from '../../sql/sql.ts'
import { callSignal } from '../../offload/signal.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import { durationMs, formatMs } from '../../time/duration.ts'
import { within } from '../../calls/timeout.ts'
import { after } from '../../time/after.ts'
import { boundValues } from './bound-values.ts'
import type { MysqlSource, OpenTransaction, Statements } from './mysql-source.ts'

/** The time limit of a rollback. Afterwards the transaction is abandoned. */
const MAX_ROLLBACK_MS = 5_000

/** Creates an executor that sends its statements through `statements`. */
function executorOn(statements: Statements): SqlExecutor {
  return {
    dialect: 'mysql',
    async query<T extends SqlRow>(sql: string, params: readonly SqlValue[] = []) {
      const { rows } = await statements.send(sql, boundValues(params))
      // A CALL returns a list of result sets, of which the first is used.
      const [first] = rows
      return (Array.isArray(first) ? first : rows) as T[]
    },
    async exec(sql, params = []) {
      const { changes } = await statements.send(sql, boundValues(params))
      return { changes }
    },
    ...(statements.load && { load: statements.load.bind(statements) }),
  }
}

/** The statements of one transaction. They are refused after the transaction has ended. */
export class TransactionFace<X> {
  readonly executor: SqlExecutor
  readonly #open: OpenTransaction<X>
  readonly #signal: AbortSignal
  #ended: PikoError | undefined
  /**
   * The error after which the server no longer has the transaction. Later statements are then refused, because the server would execute
   * them outside of the transaction.
   */
  #lost: unknown
  /** The number of statements that the server has not answered yet. */
  #running = 0

  /** @param signal aborting it ends the wait for every statement */
  constructor(open: OpenTransaction<X>, signal: AbortSignal) {
    this.#open = open
    this.#signal = signal
    this.executor = executorOn({
      send: (sql, values) => this.#run(() => open.send(sql, values)),
      ...(open.load && { load: (sql, chunks) => this.#run(() => open.load?.(sql, chunks) ?? noLoad()) }),
    })
  }

  get extra(): X {
    return this.#open.extra
  }

  /**
   * Commits the transaction.
   *
   * @throws PikoError `TRANSACTION_ROLLED_BACK` if the server has rolled it back, `COMMIT_UNKNOWN` if the connection broke during the
   * commit
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

  /** Rolls back. If a statement is still running, abandons the transaction instead. */
  async rollback(): Promise<void> {
    this.#end()
    if (this.#running > 0) return this.#open.abandon()
    try {
      await within(() => this.#open.rollback(), MAX_ROLLBACK_MS, undefined)
    } catch (error) {
      if (!isPikoError(error, 'TIMEOUT')) throw error
      this.#open.abandon()
    }
  }

  #end(): void {
    this.#ended = new PikoError('USAGE', 'this transaction has ended; await every statement before its function ends')
  }

  async #run<T>(send: () => Promise<T>): Promise<T> {
    if (this.#ended) throw this.#ended
    if (this.#lost !== undefined) throw rolledBack(this.#lost)
    try {
      return await untilAborted(this.#counted(send), this.#signal)
    } catch (error) {
      if (endsTransaction(error) || isConnectionLost(error)) this.#lost = error
      throw error
    }
  }

  /** Counts a statement until the server has answered it, even if the wait for it was aborted. */
  async #counted<T>(send: () => Promise<T>): Promise<T> {
    this.#running += 1
    try {
      return await send()
    } finally {
      this.#running -= 1
    }
  }
}

function noLoad(): never {
  throw new TypeError("this connection can't load a file")
}

function rolledBack(cause: unknown): PikoError {
  return new PikoError(
    'TRANSACTION_ROLLED_BACK',
    `an earlier statement failed, and the server has rolled the transaction back: ${toError(cause).message}`,
    { cause },
  )
}

/** Creates the database for sinks and other code, outside of a run's transaction. */
export function databaseOn<X>(source: () => Promise<MysqlSource<X>>): SqlDatabase {
  const plain = executorOn({ send: async (sql, values) => (await source()).send(sql, values) })
  return {
    ...plain,
    query: (sql, params) => retryContention(() => plain.query(sql, params), isContention),
    exec: (sql, params) => retryContention(() => plain.exec(sql, params), isContention),
    async transaction(fn, { timeout } = {}) {
      const linked = new LinkedSignal(callSignal(undefined))
      const { signal } = linked
      signal.throwIfAborted()
      const cancel = timeout === undefined ? () => {} : endAfter(durationMs(timeout, 'timeout'), linked)
      let face: TransactionFace<X> | undefined
      try {
        face = new TransactionFace(await (await source()).begin(signal), signal)
        const call = async (executor: SqlExecutor) => fn(executor)
        const value = await untilAborted(call(face.executor), signal)
        await face.commit()
        return value
      } catch (error) {
        if (isPikoError(error, 'COMMIT_UNKNOWN')) throw error
        await face?.rollback().catch(() => {})
        throw error
      } finally {
        cancel()
        linked.release()
      }
    },
  }
}

function endAfter(ms: number, linked: LinkedSignal): () => void {
  return after(ms, () => {
    const what = `the function of a transaction took longer than ${formatMs(ms)}, so it was rolled back`
    linked.abort(new PikoError('TRANSACTION_TIMEOUT', what, { details: { timeoutMs: ms } }))
  })
}
