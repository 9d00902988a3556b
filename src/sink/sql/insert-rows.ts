import { PikoError } from '../../errors.ts'
import type { SqlExecutor, SqlValue } from '../../sql/sql.ts'
import { quoted, quotedTable, toSqlValue } from '../../sql/sql-text.ts'
import { MAX_BATCH_BYTES, sentBytes } from '../../sql/statement-size.ts'

/** The maximum number of parameters in a statement. SQLite accepts 32,766, MySQL 65,535. */
const MAX_PARAMETERS = 30_000
/**
 * The maximum number of rows per statement on SQLite. It executes statements synchronously: more rows would block the event loop longer,
 * without being faster.
 */
const MAX_SQLITE_ROWS = 250

/** Rows for a table. The objects must not change until they are written. */
export interface TableRows {
  readonly table: string
  /** The columns of `properties`, followed by those of `filled`. */
  readonly columns: readonly string[]
  readonly properties: readonly string[]
  readonly rows: readonly object[]
  /** Values that are the same in all rows, such as the start of the window and the fence. */
  readonly filled: readonly SqlValue[]
}

/**
 * Inserts rows with as few statements as the limits allow.
 *
 * @param clause the end of each statement
 * @throws PikoError `SINK_ROW_INVALID` for a value that can't be stored, with its property and row index, or for a row that is too large
 * for a statement
 */
export async function insertRows(
  trx: SqlExecutor,
  { table, columns, properties, rows, filled }: TableRows,
  chunkSize: number,
  clause = '',
): Promise<void> {
  const names = columns.map((column) => quoted(trx.dialect, column)).join(', ')
  const group = `(${columns.map(() => '?').join(', ')})`
  const begin = `INSERT INTO ${quotedTable(trx.dialect, table)} (${names}) VALUES `
  const mostBytes = (trx.maxStatementBytes ?? Infinity) - Buffer.byteLength(begin + clause) - 1
  const maxBytes = Math.min(MAX_BATCH_BYTES, mostBytes)
  const mostRows = trx.dialect === 'sqlite' ? Math.min(chunkSize, MAX_SQLITE_ROWS) : chunkSize
  const maxRows = Math.max(1, Math.min(mostRows, Math.floor(MAX_PARAMETERS / columns.length)))
  const frameBytes = filled.reduce<number>((sum, value) => sum + sentBytes(value), group.length + 2)
  const send = (values: readonly SqlValue[], count: number): Promise<unknown> =>
    trx.exec(`${begin}${Array.from({ length: count }, () => group).join(', ')}${clause}`, values)

  let [values, count, bytes]: [SqlValue[], number, number] = [[], 0, 0]
  for (const [index, row] of rows.entries()) {
    const first = values.length
    let size = frameBytes
    for (const property of properties) {
      const given = (row as Record<string, unknown>)[property]
      const value = toSqlValue(given, () => `${property} of row ${index} for table ${table}`)
      size += sentBytes(value)
      values.push(value)
    }
    if (size > mostBytes) throw tooLarge(table, index, size, mostBytes)
    for (const value of filled) values.push(value)
    if (count === maxRows || (count > 0 && bytes + size > maxBytes)) {
      const next = values.splice(first)
      await send(values, count)
      ;[values, count, bytes] = [next, 0, 0]
    }
    count++
    bytes += size
  }
  if (count > 0) await send(values, count)
}

function tooLarge(table: string, index: number, bytes: number, maxBytes: number): PikoError {
  return new PikoError(
    'SINK_ROW_INVALID',
    `row ${index} for table ${table} is ${bytes} bytes in a statement; the database takes at most ${maxBytes} ` +
      '(max_allowed_packet on MySQL): store large values elsewhere, or raise that limit',
    { details: { table, index, bytes, mostBytes: maxBytes } },
  )
}
