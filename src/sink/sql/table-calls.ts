import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import type { Window } from '../../time/window.ts'

export interface SqlTableTarget {
  /** The database of the table. Default: the database that Piko itself runs on. */
  readonly on?: SqlDatabase
}

export interface SqlTableMerge extends SqlTableTarget {
  /** The number that all writers of one generation of the window share, such as the fence of its run. Default: the fence of the batch. */
  readonly generation?: number
}

/** A window of which the rows of older generations should be deleted. */
export interface SqlTableGeneration {
  readonly window: Window
  /** The smallest fence whose rows stay: rows with a smaller fence are deleted. */
  readonly before: number
  /** The database of the table, unless `on` is given. */
  readonly sql?: SqlDatabase
}

export interface SqlTableOpen extends SqlTableTarget {
  /** Creates the table if it is missing. Default `false`. */
  readonly create?: boolean
}

export interface SqlTableDdl {
  /** The dialect of the statements. Default `'mysql'`, which includes MariaDB. */
  readonly dialect?: SqlExecutor['dialect']
  /**
   * The existing columns of the table, or its earlier definition. With it, the statements add the missing columns. Default: a new table.
   */
  readonly from?: readonly string[] | { readonly layout: SqlTableLayout }
}

/** The columns of a table, and the roles of some of them. */
export interface SqlTableLayout {
  readonly name: string
  /** The columns that hold the row's properties. */
  readonly columns: readonly string[]
  /** The columns that identify a row within its window, or within a table without windows. The list is empty if they are unknown. */
  readonly key: readonly string[]
  readonly windowColumn: string | null
  readonly fenceColumn: string | undefined
  /** Whether a checksum of a window's rows is recorded for proofs. */
  readonly checksum?: boolean
}
