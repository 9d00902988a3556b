import type { SqlExecutor, SqlFile, SqlLoaded } from '../../sql/sql.ts'

/** Sends statements. `changes` is the number of rows that a statement matched. */
export interface Statements {
  send(
    sql: string,
    values: readonly unknown[],
  ): Promise<{ readonly rows: readonly unknown[]; readonly changes: number }>
  /** Executes a `LOAD DATA LOCAL INFILE` statement with `chunks` as its file. Absent if the connection can't send files. */
  load?(sql: string, chunks: SqlFile): Promise<SqlLoaded>
}

/** A connection with an open transaction. */
export interface OpenTransaction<X> extends Statements {
  /** The properties that the run gets in addition to the executor. */
  readonly extra: X
  commit(): Promise<void>
  rollback(): Promise<void>
  /** Gives the transaction up, even during a statement. Destroys its connection; with Kysely, rolls back after the statement. */
  abandon(): void
}

/** A source of connections: a pool or a Kysely instance. */
export interface MysqlSource<X> extends Statements {
  /** Begins a transaction. @throws the reason of the signal; an error of the driver if no connection could be opened in time */
  begin(signal: AbortSignal | undefined): Promise<OpenTransaction<X>>
  /** Makes one round trip. */
  ping(): Promise<void>
  /** Closes the connections that this source has opened itself. */
  close(): Promise<void>
}

/** The value that a run borrows: an executor for SQL in its own transaction. */
export type MysqlRun<X> = SqlExecutor & X
