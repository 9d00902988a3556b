import type { Duration } from '../time/duration.ts'

/** A value that both databases can bind. Dates are bound in UTC, `bigint` and booleans as integers. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null

export type SqlRow = Record<string, unknown>

/** How many rows a `LOAD DATA` statement has stored, and how many warnings there were. */
export interface SqlLoaded {
  readonly changes: number
  readonly warnings: number
}

/** The bytes of a file, in pieces of at most 256 KiB. They may be generated while they are read. */
export type SqlFile = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** Runs statements with `?` placeholders. */
export interface SqlExecutor {
  readonly dialect: 'mysql' | 'sqlite'
  /** The maximum size of a statement with its values, in bytes. `SqlTable` splits its rows to stay below it. Default: 1 MB. */
  readonly maxStatementBytes?: number | undefined
  /** Runs a SELECT, or a statement with RETURNING, and returns its rows. */
  query<T extends SqlRow = SqlRow>(sql: string, params?: readonly SqlValue[]): Promise<T[]>
  /**
   * Runs a `LOAD DATA LOCAL INFILE` statement. `data` is its file; it is read once, piece by piece. Missing if the database or its adapter
   * does not support this; then `SqlTable` inserts rows.
   */
  readonly load?: ((sql: string, data: SqlFile) => Promise<SqlLoaded>) | undefined
  /** Runs any other statement. `changes` is the number of rows that it matched. */
  exec(sql: string, params?: readonly SqlValue[]): Promise<{ changes: number }>
}

export interface TransactionOptions {
  /**
   * The time limit of the function. Default: `[piko] transaction_timeout` for Piko's own database, otherwise no limit. On SQLite it is at
   * most half of `[piko] lease`, because the node can't renew its lease during the transaction.
   */
  readonly timeout?: Duration | undefined
}

/** A database that sinks write to: the store's own, or another one through an adapter. */
export interface SqlDatabase extends SqlExecutor {
  /**
   * Runs `fn` in a transaction. Commits if `fn` resolves and rolls back if it rejects. Use `trx` inside `fn`. On MySQL, other calls to the
   * database use another connection and are not part of the transaction. SQLite has only one connection, which the transaction holds.
   *
   * If `fn` takes longer than its timeout, rolls back and refuses every later call to `trx`. In a handler, does the same if the run times
   * out, is cancelled, lost or stopped.
   *
   * @throws PikoError `TRANSACTION_TIMEOUT`; in a handler also the reason why its run ends; `USAGE` on SQLite, from calls inside `fn` that
   * bypass `trx`
   */
  transaction<T>(fn: (trx: SqlExecutor) => Promise<T>, options?: TransactionOptions): Promise<T>
}
