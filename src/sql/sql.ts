/** A value that both databases bind. Dates are bound in UTC, `bigint` and booleans as integers. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null

export type SqlRow = Record<string, unknown>

/** Runs statements with `?` placeholders on one connection. */
export interface SqlExecutor {
  readonly dialect: 'mysql' | 'sqlite'
  /** The largest statement, with its values, that the database takes. `SqlTable` splits its rows below it. Default: 1 MB. */
  readonly maxStatementBytes?: number | undefined
  /** Rows of a SELECT (or of a statement with RETURNING). */
  query<T extends SqlRow = SqlRow>(sql: string, params?: readonly SqlValue[]): Promise<T[]>
  /** Any other statement; `changes` counts the rows it matched. */
  exec(sql: string, params?: readonly SqlValue[]): Promise<{ changes: number }>
}

/** A database that sinks write to: the store's own, or any other through an adapter. */
export interface SqlDatabase extends SqlExecutor {
  /**
   * Commits when `fn` resolves and rolls back when it rejects. Inside of it use `trx`: on MySQL other calls of the database
   * take a connection of their own and are no part of the transaction; SQLite has one connection only, which the transaction
   * holds.
   *
   * @throws PikoError `USAGE` from calls of the database inside of `fn` that go past `trx`, on SQLite
   */
  transaction<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
}
