import { chainOf, headline, isWhole, propertyOf } from '../../errors-read.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import { isPikoError } from '../../errors.ts'

/** The mark is a symbol, because `instanceof` fails if a sink's module has loaded another copy of this package. */
const REFUSED = Symbol.for('piko.refusedRows')

/** A row that the target refuses. */
export interface RefusedRow {
  /** The index of the row among those that the sink's method received. */
  readonly index: number
  readonly reason: string
}

/**
 * Thrown by a sink's method that knows which rows the target refuses. A sink with `deadLetters` stores these rows as dead letters and
 * delivers the others again, even if the target has already stored them. Without `deadLetters` the run fails.
 *
 * @example
 * if (response.status === 422) throw new RefusedRowsError([{ index: 3, reason: 'no such customer' }])
 */
export class RefusedRowsError extends Error {
  readonly [REFUSED]: readonly RefusedRow[]

  constructor(rows: readonly RefusedRow[], options?: ErrorOptions) {
    const [first] = rows
    const more = rows.length > 1 ? ` and ${rows.length - 1} more` : ''
    super(first ? `row ${first.index} was refused: ${first.reason}${more}` : 'rows were refused', options)
    this.name = 'RefusedRowsError'
    this[REFUSED] = rows
  }
}

/** Returns the reasons for the rows that an error names, by index. Ignores indexes of `length` or more. Undefined if no row is left. */
export function refusedRows(error: unknown, length: number): ReadonlyMap<number, string> | undefined {
  for (const link of chainOf(error)) {
    const rows = new Map<number, string>()
    for (const { index, reason } of namedIn(link)) if (isWhole(index) && index < length) rows.set(index, reason)
    if (rows.size > 0) return rows
  }
  return undefined
}

function namedIn(link: unknown): readonly RefusedRow[] {
  const marked = propertyOf(link, REFUSED)
  if (Array.isArray(marked)) {
    return (marked as unknown[]).map((row) => ({
      index: Number(propertyOf(row, 'index')),
      reason: String(propertyOf(row, 'reason')),
    }))
  }
  // An error of `SqlTable` names the row that can't be stored or is too large for a statement.
  const index = isPikoError(link, 'SINK_ROW_INVALID') ? propertyOf(link.details, 'index') : undefined
  return typeof index === 'number' ? [{ index, reason: headline(link) }] : []
}

/** Whether single rows may have caused the error. Then the target may accept other parts of the batch. */
export function mayBeOfRow(error: unknown): boolean {
  if (isPikoError(error)) return error.code === 'SINK_ROW_INVALID'
  const fault = databaseFault(error)
  return fault === undefined || fault === 'data'
}
