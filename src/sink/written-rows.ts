import type { FencedTable, TableRows } from '../run/table-rows.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import { checksumSql } from '../sql/row-checksum.ts'
import { quoted, quotedTable } from '../sql/sql-text.ts'
import type { Window } from '../time/window.ts'

interface Noted {
  readonly table: FencedTable
  readonly on: SqlDatabase
  /** How many rows were written; undefined if the number must be read from the table, for example after an upsert. */
  rows: number | undefined
}

/** Counts the rows that one attempt has written to fenced tables for its window. The counts are stored when the window ends, for proofs. */
export class WrittenRows {
  readonly #window: Window
  readonly #fence: number
  readonly #tables = new Map<string, Noted>()

  constructor(window: Window, fence: number) {
    this.#window = window
    this.#fence = fence
  }

  /**
   * Called when rows were written.
   *
   * @param rows how many rows the attempt has in the table now; undefined if the number must be read from the table
   */
  note(table: FencedTable, on: SqlDatabase, rows: number | undefined): void {
    const known = this.#tables.get(table.name)
    if (known?.table.unproved !== undefined) return
    const isKnown = rows !== undefined && (known === undefined || known.rows !== undefined)
    // Parallel deliveries may report in any order. Only `clear` removes rows, so the largest number is the latest.
    const most = isKnown ? (rows === 0 ? 0 : Math.max(rows, known?.rows ?? 0)) : undefined
    this.#tables.set(table.name, { table, on, rows: most })
  }

  /** Returns how many rows of the attempt are in each table. Reads this from the database only if it is unknown, or for a checksum. */
  async collect(): Promise<readonly TableRows[]> {
    if (this.#tables.size === 0) return NOTHING
    return Promise.all(
      [...this.#tables.values()].map(async ({ table, on, rows }): Promise<TableRows> => {
        if (table.unproved !== undefined) return { table, rows: undefined }
        if (rows !== undefined && !table.checksum) return { table, rows }
        const { n, c } = await this.#count(table, on)
        return { table, rows: rows ?? n, ...(table.checksum && { checksum: c }) }
      }),
    )
  }

  /** Counts the rows in the database. After an error, the number is unknown: this must not fail a run whose rows are already written. */
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

/**
 * Records how many rows a run has written, for proofs, if the table has a window and a fence column. See {@link WrittenRows.note}.
 *
 * @param unproved the kind of write, if a proof can't compare its rows
 */
export function noteRows(
  scope: { readonly sql: SqlDatabase; readonly written?: WrittenRows },
  layout: Pick<FencedTable, 'name' | 'columns' | 'key' | 'checksum'> & {
    readonly windowColumn: string | null
    readonly fenceColumn: string | undefined
  },
  on: SqlDatabase,
  rows: number | undefined,
  unproved?: FencedTable['unproved'],
): void {
  const { name, columns, key, windowColumn, fenceColumn, checksum } = layout
  if (windowColumn === null || fenceColumn === undefined) return
  const table: FencedTable = {
    ...{ name, columns, key, windowColumn, fenceColumn, isOwn: on === scope.sql },
    ...(checksum && { checksum }),
    ...(unproved && { unproved }),
  }
  scope.written?.note(table, on, rows)
}
