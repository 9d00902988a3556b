import type { FencedTable, TableRows } from '../run/table-rows.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import { checksumSql } from '../sql/row-checksum.ts'
import { quoted, quotedTable } from '../sql/sql-text.ts'
import type { Window } from '../time/window.ts'

interface Noted {
  readonly table: FencedTable
  readonly on: SqlDatabase
  /** Undefined if only the table knows, as after an upsert. */
  rows: number | undefined
}

/** The rows that one attempt has written to fenced tables for its window. They are stored with the end of the window, for proofs. */
export class WrittenRows {
  readonly #window: Window
  readonly #fence: number
  readonly #tables = new Map<string, Noted>()

  constructor(window: Window, fence: number) {
    this.#window = window
    this.#fence = fence
  }

  /**
   * Called after rows have been written.
   *
   * @param rows undefined if the write may have replaced rows of this attempt
   * @param isFirst whether the write has deleted what the attempt had written before
   */
  note(table: FencedTable, on: SqlDatabase, rows: number | undefined, isFirst: boolean): void {
    const known = this.#tables.get(table.name)
    const before = isFirst ? 0 : known ? known.rows : 0
    const sum = rows === undefined || before === undefined ? undefined : before + rows
    this.#tables.set(table.name, { table, on, rows: sum })
  }

  /** What the attempt has in each table. Asks the database only about rows that were upserted or merged. */
  async collect(): Promise<readonly TableRows[]> {
    if (this.#tables.size === 0) return NOTHING
    return Promise.all(
      [...this.#tables.values()].map(async ({ table, on, rows }): Promise<TableRows> => {
        if (rows !== undefined && !table.checksum) return { table, rows }
        const { n, c } = await this.#count(table, on)
        return { table, rows: rows ?? n, ...(table.checksum && { checksum: c }) }
      }),
    )
  }

  /** A count that fails must not fail a run whose rows are written. */
  async #count(
    { name, windowColumn, fenceColumn, columns, checksum }: FencedTable,
    on: SqlDatabase,
  ): Promise<{ readonly n: number | undefined; readonly c: number | undefined }> {
    const { dialect } = on
    const sum = checksum ? `, ${checksumSql(dialect, columns)} AS c` : ''
    const where = `${quoted(dialect, windowColumn)} = ? AND ${quoted(dialect, fenceColumn)} = ?`
    try {
      const [row] = await on.query<{ n: unknown; c?: unknown }>(
        `SELECT COUNT(*) AS n${sum} FROM ${quotedTable(dialect, name)} WHERE ${where}`,
        [this.#window.start, this.#fence],
      )
      return { n: row && Number(row.n), c: row && checksum ? Number(row.c ?? 0) : undefined }
    } catch {
      return { n: undefined, c: undefined }
    }
  }
}

const NOTHING: readonly TableRows[] = []

/** Notes for proofs what a run has written, if its table has the columns of a window and a fence. See {@link WrittenRows.note}. */
export function noteRows(
  scope: { readonly sql: SqlDatabase; readonly written?: WrittenRows },
  layout: Pick<FencedTable, 'name' | 'columns' | 'key' | 'checksum'> & {
    readonly windowColumn: string | null
    readonly fenceColumn: string | undefined
  },
  on: SqlDatabase,
  rows: number | undefined,
  isFirst: boolean,
): void {
  const { name, columns, key, windowColumn, fenceColumn, checksum } = layout
  if (windowColumn === null || fenceColumn === undefined) return
  const table = { name, columns, key, windowColumn, fenceColumn, isOwn: on === scope.sql }
  scope.written?.note(checksum ? { ...table, checksum } : table, on, rows, isFirst)
}
