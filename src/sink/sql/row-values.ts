import { mapInTurns } from '../../loop-turn.ts'
import type { SqlValue } from '../../sql/sql.ts'
import { toSqlValue } from '../../sql/sql-text.ts'

/**
 * The values of rows, one row after the other.
 *
 * @param filled values that each row gets after its own
 * @throws PikoError `SINK_ROW_INVALID` naming the property and the index of the row
 */
export async function rowValues(
  table: string,
  properties: readonly string[],
  rows: readonly object[],
  filled: readonly SqlValue[],
): Promise<SqlValue[]> {
  const values: SqlValue[] = []
  await mapInTurns(rows, (row, index) => {
    for (const property of properties) {
      values.push(
        toSqlValue((row as Record<string, unknown>)[property], () => `${property} of row ${index} for table ${table}`),
      )
    }
    for (const value of filled) values.push(value)
  })
  return values
}
