import { mapInTurns } from '../../loop-turn.ts'
import type { Dialect } from '../connection/dialect.ts'
import { type BrokenRow, soundRows } from './broken-row.ts'
import type { TableName } from './row-rules.ts'

/**
 * Calls a function with each readable row, in their order. Passes the others to `onBroken`. Many rows are spread over several turns of the
 * event loop.
 */
export async function mapSound<T extends object, R>(
  dialect: Pick<Dialect, 'name'>,
  table: TableName,
  rows: readonly T[],
  map: (row: T) => R,
  onBroken: (row: BrokenRow) => void,
): Promise<R[]> {
  const mapped = await mapInTurns(rows, (row) => soundRows(dialect, table, [row], onBroken).map(map))
  return mapped.flat()
}
