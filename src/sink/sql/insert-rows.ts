import { PikoError } from '../../errors.ts'
import type { SqlExecutor, SqlValue } from '../../sql/sql.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import { batchesOf, MAX_BATCH_BYTES, sentBytes } from '../../sql/statement-size.ts'

/** SQLite accepts 32,766 parameters per statement, MySQL 65,535. */
const MAX_PARAMETERS = 30_000

/** Rows for a table: the columns, and the values of one row after the other. */
export interface TableRows {
  readonly table: string
  readonly columns: readonly string[]
  readonly values: readonly SqlValue[]
  /** The number of columns at the end whose value is the same in all rows. */
  readonly filled: number
}

/**
 * Inserts rows with as few statements as the limits allow.
 *
 * @param clause the end of each statement
 * @throws PikoError `SINK_ROW_INVALID` for a row that is larger than a statement may be
 */
export async function insertRows(
  trx: SqlExecutor,
  { table, columns, values }: TableRows,
  chunkSize: number,
  clause = '',
): Promise<void> {
  const width = columns.length
  const names = columns.map((column) => quoted(trx.dialect, column)).join(', ')
  const row = `(${columns.map(() => '?').join(', ')})`
  const begin = `INSERT INTO ${quotedTable(trx.dialect, table)} (${names}) VALUES `
  const frameBytes = Buffer.byteLength(begin + clause) + 1
  const maxBytes = (trx.maxStatementBytes ?? Infinity) - frameBytes
  const bytesAt = (index: number): number => {
    let bytes = row.length + 2
    for (let at = index * width; at < (index + 1) * width; at++) bytes += sentBytes(values[at])
    if (bytes > maxBytes) throw tooLarge(table, index, bytes, maxBytes)
    return bytes
  }
  const indices = Array.from({ length: values.length / width }, (_, index) => index)
  const limits = {
    maxRows: Math.max(1, Math.min(chunkSize, Math.floor(MAX_PARAMETERS / width))),
    maxBytes: Math.min(MAX_BATCH_BYTES, maxBytes),
  }
  let from = 0
  for (const { length } of batchesOf(indices, bytesAt, limits)) {
    const part = values.slice(from * width, (from + length) * width)
    from += length
    await trx.exec(`${begin}${Array.from({ length }, () => row).join(', ')}${clause}`, part)
  }
}

function tooLarge(table: string, index: number, bytes: number, maxBytes: number): PikoError {
  return new PikoError(
    'SINK_ROW_INVALID',
    `row ${index} for table ${table} is ${bytes} bytes in a statement; the database takes at most ${maxBytes} ` +
      '(max_allowed_packet on MySQL): store large values elsewhere, or raise that limit',
    { details: { table, index, bytes, mostBytes: maxBytes } },
  )
}
