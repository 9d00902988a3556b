/** A table whose rows contain the start of their window and the fence of the claim that wrote them. */
export interface FencedTable {
  readonly name: string
  readonly windowColumn: string
  readonly fenceColumn: string
  /** The columns that hold the row's properties. */
  readonly columns: readonly string[]
  /** The columns that identify a row within its window. Empty if they are not known. */
  readonly key: readonly string[]
  /** Whether a checksum of its rows is recorded too. */
  readonly checksum?: boolean
  /** Whether the table is in the database that Piko itself runs on. */
  readonly isOwn: boolean
  /** The kind of write that prevents a proof from comparing the table's rows with windows; undefined if a proof can compare them. */
  readonly unproved?: 'merge' | 'upsert'
}

/** How many rows a claim has in a table when the claim ends its window. */
export interface TableRows {
  readonly table: FencedTable
  /** The number of rows; undefined if they could not be counted. */
  readonly rows: number | undefined
  /** The checksum of the rows; see `checksumSql`. Undefined unless the table asks for it. */
  readonly checksum?: number | undefined
}
