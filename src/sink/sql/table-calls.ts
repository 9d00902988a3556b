import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import type { Window } from '../../time/window.ts'

export interface SqlTableTarget {
  /** Where the table is. Default: the database that Piko itself runs on. */
  readonly on?: SqlDatabase
}

export interface SqlTableMerge extends SqlTableTarget {
  /** The number that all writers of this generation of the window share, such as the fence of the run that began it. Default: the fence. */
  readonly generation?: number
}

/** A window whose rows of older generations are to be deleted. */
export interface SqlTableGeneration {
  readonly window: Window
  /** Rows with a smaller fence are deleted. */
  readonly before: number
  /** Where the table is, unless the target says so. */
  readonly sql?: SqlDatabase
}

export interface SqlTableOpen extends SqlTableTarget {
  /** Creates the table if it is missing. Default `false`. */
  readonly create?: boolean
}

export interface SqlTableDdl {
  /** Default `'mysql'`, which includes MariaDB. */
  readonly dialect?: SqlExecutor['dialect']
  /** The columns that the table has already, or its earlier definition. The statements then add the columns that are missing. */
  readonly from?: readonly string[] | { readonly layout: SqlTableLayout }
}

/** What a table's rows consist of. */
export interface SqlTableLayout {
  readonly name: string
  /** The columns that hold the row's properties. */
  readonly columns: readonly string[]
  /** The columns that identify a row within its window, or within a table without windows. Empty if unknown. */
  readonly key: readonly string[]
  readonly windowColumn: string | null
  readonly fenceColumn: string | undefined
  /** Whether a checksum of a window's rows is recorded for proofs. */
  readonly checksum?: boolean
}
