import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import type { Window } from '../../time/window.ts'

export interface SqlTableTarget {
  /** The database of the table. Default: the database that Piko itself uses. */
  readonly on?: SqlDatabase
}

export interface SqlTableMerge extends SqlTableTarget {
  /**
   * The fence of the writers' generation. All writers of the window in this generation must pass the same number. Default: the fence of the
   * batch.
   */
  readonly generation?: number
}

/** A window in which the rows of older generations should be deleted. */
export interface SqlTableGeneration {
  readonly window: Window
  /** Rows with a smaller fence than this are deleted. */
  readonly before: number
  /** The database of the table, unless `on` is given. */
  readonly sql?: SqlDatabase
}

export interface SqlTableOpen extends SqlTableTarget {
  /** Whether a missing table is created. Default `false`. */
  readonly create?: boolean
}

export interface SqlTableDdl {
  /** The dialect of the statements. Default `'mysql'`, which includes MariaDB. */
  readonly dialect?: SqlExecutor['dialect']
  /** The existing columns of the table, or its earlier definition. Then the statements add the missing columns. Default: a new table. */
  readonly from?: readonly string[] | { readonly layout: SqlTableLayout }
}

/** The columns of a table, and what some of them are for. */
export interface SqlTableLayout {
  readonly name: string
  /** The columns that hold the row's properties. */
  readonly columns: readonly string[]
  /** The columns that identify a row within its window, or within the table if it has no window column. Empty if unknown. */
  readonly key: readonly string[]
  readonly windowColumn: string | null
  readonly fenceColumn: string | undefined
  /** Whether a checksum of a window's rows is recorded for proofs. */
  readonly checksum?: boolean
}
