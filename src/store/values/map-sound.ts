import { mapInTurns } from '../../loop-turn.ts'
import type { Dialect } from '../connection/dialect.ts'
import { type BrokenRow, soundRows } from './broken-row.ts'
import type { TableName } from './row-rules.ts'

/** Maps the readable rows, in their order. `onBroken` receives the others. Spreads many rows over several turns of the event loop. */
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
