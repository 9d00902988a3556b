import type { MysqlPoolConnection as KyselyConnection } from 'kysely'
import { Readable } from 'node:stream'
import type { PoolConnection, QueryOptions, QueryValues } from 'mysql2'
import { isConnectionLost } from '../../../sql/database-faults.ts'
import { propertyOf } from '../../../errors-read.ts'
import { PikoError } from '../../../errors.ts'
import { withMissingRight } from './missing-rights.ts'
import { localFileOf } from './local-file.ts'
import { assertFits } from '../packet-size.ts'
import { TransactionWatch } from './transaction-watch.ts'

/** Matches statements that change the schema or process a whole table. They have no time limit, because the table may be large. */
const DDL = /^\s*(?:alter|create|drop|rename|truncate|optimize|analyze)\b/i

/** Properties of the server that are known after the first connection. */
export interface ServerLimits {
  /** The maximum size of a statement, in bytes. A larger one fails before it is sent. */
  readonly maxBytes: () => number
  /** Whether `innodb_rollback_on_timeout` is on. */
  readonly rollsBackOnTimeout: () => boolean
}

type Answer = Parameters<NonNullable<Parameters<KyselyConnection['query']>[2]>>

/**
 * A connection with a time limit for each statement, because a server that never answers would block the caller forever. After a timeout,
 * the connection is closed, so that the server rolls back.
 */
export class TimedConnection implements KyselyConnection {
  readonly #connection: PoolConnection
  readonly #timeoutMs: number
  readonly #maxBytes: () => number
  readonly #watch: TransactionWatch
  /** Whether the connection can't be used again, so that the next borrower gets another one. */
  #isSpent = false
  #usedAt = performance.now()

  /** @param timeoutMs the limit for each statement; 0: none */
  constructor(connection: PoolConnection, timeoutMs: number, server: ServerLimits) {
    this.#connection = connection
    this.#maxBytes = server.maxBytes
    this.#timeoutMs = timeoutMs
    this.#watch = new TransactionWatch(server.rollsBackOnTimeout)
  }

  /** Called after each statement that sets up the session. @param answer the server's answer to it */
  begun(answer: unknown): void {
    this.#watch.begun(answer)
  }

  /** When the connection was last returned, in milliseconds on the monotonic clock. */
  get usedAt(): number {
    return this.#usedAt
  }

  get config(): object {
    return this.#connection.config
  }

  get threadId(): number {
    return this.#connection.threadId
  }

  query(text: string, parameters: QueryValues, answered: (...answer: Answer) => void = () => {}) {
    assertFits(text, Array.isArray(parameters) ? parameters : [], this.#maxBytes())
    const refused = this.#watch.begins(text)
    if (refused) return void process.nextTick(answered, refused, undefined) as never
    const isDdl = DDL.test(text)
    const timeoutMs = isDdl ? 0 : this.#timeoutMs
    const timer =
      timeoutMs > 0
        ? setTimeout(() => socketOf(this.#connection)?.destroy(timedOut(text, timeoutMs)), timeoutMs)
        : undefined
    // Without values, the driver does not search the text for placeholders. For a statement with many rows, this search takes the most
    // time.
    const values = Array.isArray(parameters) && parameters.length === 0 ? undefined : parameters
    const file = localFileOf(parameters)
    const statement: QueryOptions = {
      sql: text,
      ...(values !== undefined && { values }),
      // The path that the server requests is ignored. The server gets the rows of this statement, or nothing if the statement has none.
      ...(file && { infileStreamFactory: () => Readable.from(file.chunks, { highWaterMark: 2 }) }),
    }
    return this.#connection.query(statement, (error: unknown, result: unknown) => {
      clearTimeout(timer)
      if (file) file.warnings = Number(propertyOf(result, 'warningStatus') ?? 0)
      if (error) {
        this.#watch.failed(error)
        this.#isSpent ||= isConnectionLost(error)
      }
      const stray = error ? undefined : this.#watch.answered(text, result)
      // Migrations report missing privileges themselves.
      const told = error && !isDdl ? withMissingRight(error, this.#database()) : (stray ?? error)
      // A connection keeps the privileges that its user had when it was opened, so a new GRANT needs a new connection.
      this.#isSpent ||= told !== error
      answered(told, result as Answer[1])
    }) as unknown as ReturnType<KyselyConnection['query']>
  }

  connect(callback?: (error: unknown) => void): void {
    this.#connection.connect(callback)
  }

  #database(): string {
    return this.#connection.config.database ?? ''
  }

  destroy(): void {
    this.#connection.destroy()
  }

  release(): void {
    this.#usedAt = performance.now()
    this.#watch.leave()
    if (this.#isSpent) this.#connection.destroy()
    else this.#connection.release()
  }
}

function timedOut(text: string, timeoutMs: number): PikoError {
  const beginning = text.length > 80 ? `${text.slice(0, 79)}…` : text
  return new PikoError(
    'DATABASE_TIMEOUT',
    `MySQL has not answered for ${timeoutMs} ms to: ${beginning}; make the statement shorter or raise [mysql] statement_timeout`,
  )
}

/** Returns the socket of a connection. mysql2 has no type for it. */
export function socketOf(connection: PoolConnection): { destroy(error: Error): void } | undefined {
  return (connection as unknown as { stream?: { destroy(error: Error): void } }).stream
}
