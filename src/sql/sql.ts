/** A value that both databases can bind. Dates are bound in UTC, `bigint` and booleans as integers. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null

export type SqlRow = Record<string, unknown>

/** Runs statements with `?` placeholders on one connection. */
export interface SqlExecutor {
  readonly dialect: 'mysql' | 'sqlite'
  /**
   * The largest statement, with its values, that the database accepts, in bytes. `SqlTable` splits its rows to stay below it. Default: 1
   * MB.
   */
  readonly maxStatementBytes?: number | undefined
  /** Runs a SELECT, or a statement with RETURNING, and returns its rows. */
  query<T extends SqlRow = SqlRow>(sql: string, params?: readonly SqlValue[]): Promise<T[]>
  /** Runs any other statement. `changes` is the number of rows that it matched. */
  exec(sql: string, params?: readonly SqlValue[]): Promise<{ changes: number }>
}

/** A database that sinks write to: the store's own, or another one through an adapter. */
export interface SqlDatabase extends SqlExecutor {
  /**
   * Runs `fn` in a transaction. Commits if `fn` resolves and rolls back if it rejects. Use `trx` inside `fn`. On MySQL, other calls of the
   * database use another connection and are not part of the transaction. SQLite has only one connection, which the transaction holds.
   *
   * @throws PikoError `USAGE` on SQLite, from calls inside `fn` that bypass `trx`
   */
  transaction<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
}
