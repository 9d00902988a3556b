/** A value that both databases can bind. Dates are bound in UTC, `bigint` and booleans as integers. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null

export type SqlRow = Record<string, unknown>

/** Runs statements with `?` placeholders on one connection. */
export interface SqlExecutor {
  readonly dialect: 'mysql' | 'sqlite'
  /** The largest statement, with its values, that the database accepts. `SqlTable` splits its rows to stay below it. Default: 1 MB. */
  readonly maxStatementBytes?: number | undefined
  /** Returns the rows of a SELECT (or of a statement with RETURNING). */
  query<T extends SqlRow = SqlRow>(sql: string, params?: readonly SqlValue[]): Promise<T[]>
  /** Runs any other statement; `changes` is the number of rows it matched. */
  exec(sql: string, params?: readonly SqlValue[]): Promise<{ changes: number }>
}

/** A database that sinks write to: the store's own, or another one through an adapter. */
export interface SqlDatabase extends SqlExecutor {
  /**
   * Commits if `fn` resolves and rolls back if it rejects. Use `trx` inside it. On MySQL, other calls of the database use another
   * connection and are not part of the transaction. SQLite has only one connection, which the transaction holds.
   *
   * @throws PikoError `USAGE` from calls of the database inside `fn` that bypass `trx`, on SQLite
   */
  transaction<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
}
