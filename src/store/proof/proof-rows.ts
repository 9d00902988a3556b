import type { ColumnType } from 'kysely'

/** A fenced table to which runs of the job have written. */
export interface JobTableTable {
  job_id: string
  table_name: string
  /** The table as JSON of `FencedTable`, without its name. */
  layout: string
}

/** How many rows of a fenced table belong to a window. Stored when a run of the window succeeds. */
export interface WindowRowsTable {
  job_id: string
  table_name: string
  start_at: ColumnType<Date | string, Date | string, Date | string>
  fence: number
  row_count: number | null
  /** The checksum of the rows, see `checksumSql`; null unless the table asks for it. */
  checksum: number | null
}

export interface ProofTables {
  piko_job_table: JobTableTable
  piko_window_rows: WindowRowsTable
}
