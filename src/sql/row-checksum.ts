import type { SqlExecutor } from './sql.ts'
import { quoted } from './sql-text.ts'

/** The name of the function that Piko adds to its SQLite connection; MySQL has one of its own. */
export const SQLITE_CRC32 = 'piko_crc32'

/** Sums of checksums are compared modulo this number, so that they are always exact. */
const MODULUS = 2 ** 32

/**
 * Returns an SQL aggregate for the contents of rows in these columns: the sum of the CRC-32 of each row. It does not depend on the order of
 * the rows. Each value is read as the bytes that the database has stored.
 */
export function checksumSql(dialect: SqlExecutor['dialect'], columns: readonly string[]): string {
  const values = columns.map((name) => {
    const column = quoted(dialect, name)
    const bytes = dialect === 'mysql' ? `HEX(CAST(${column} AS BINARY))` : `HEX(${column})`
    return `CASE WHEN ${column} IS NULL THEN '-' ELSE ${bytes} END`
  })
  const crc = dialect === 'mysql' ? 'CRC32' : SQLITE_CRC32
  return `(SUM(${crc}(CONCAT_WS(',', ${values.join(', ')}))) % ${MODULUS})`
}
