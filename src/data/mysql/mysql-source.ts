import type { SqlExecutor, SqlFile, SqlLoaded } from '../../sql/sql.ts'

/** How one statement is sent on a connection. `changes` is the number of rows that it matched. */
export interface Statements {
  send(
    sql: string,
    values: readonly unknown[],
  ): Promise<{ readonly rows: readonly unknown[]; readonly changes: number }>
  /** Runs a `LOAD DATA LOCAL INFILE` statement whose file is `chunks`. Missing if that is impossible. */
  load?(sql: string, chunks: SqlFile): Promise<SqlLoaded>
}

/** A connection with an open transaction. */
export interface OpenTransaction<X> extends Statements {
  /** What the run gets besides the executor. */
  readonly extra: X
  commit(): Promise<void>
  rollback(): Promise<void>
  /** Gives the connection up, whatever it does. The server then rolls back. */
  abandon(): void
}

/** Where connections come from. */
export interface MysqlSource<X> extends Statements {
  /** @throws the reason of the signal; an error of the driver if no connection could be opened in time */
  begin(signal: AbortSignal | undefined): Promise<OpenTransaction<X>>
  /** Makes one round trip. */
  ping(): Promise<void>
  /** Closes what this source has opened itself. */
  close(): Promise<void>
}

/** What a run borrows: plain SQL in its own transaction. */
export type MysqlRun<X> = SqlExecutor & X
