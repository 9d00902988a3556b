import { PikoError } from '../../errors.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import { addColumns, createTable, filledNames } from './table-ddl.ts'
import type { TableShape } from './table-options.ts'

/** A column of the table in the database. */
export interface ExistingColumn {
  readonly name: string
  /** The type of the column in lower case, without its length: `varchar`. */
  readonly type: string
}

/** Returns the columns of the table in their order. Empty if the table does not exist. */
export async function existingColumns(on: SqlExecutor, name: string): Promise<readonly ExistingColumn[]> {
  const [table = name, schema] = name.split('.').reverse()
  const rows =
    on.dialect === 'mysql'
      ? await on.query<{ name: string; type: string }>(
          'SELECT column_name AS name, data_type AS type FROM information_schema.columns' +
            ' WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? ORDER BY ordinal_position',
          [schema ?? null, table],
        )
      : await on.query<{ name: string; type: string }>(
          `SELECT name, type FROM pragma_table_info(?${schema === undefined ? '' : ', ?'})`,
          schema === undefined ? [table] : [table, schema],
        )
  return rows.map((row) => ({ name: row.name, type: row.type.toLowerCase() }))
}

/**
 * Returns the problem of a table that is missing or has too few columns, with the statements that correct it. Undefined if it has all
 * columns.
 *
 * @param cause the error of a statement that failed because of this
 */
export function tableProblem(
  dialect: SqlExecutor['dialect'],
  shape: TableShape,
  existing: readonly ExistingColumn[],
  cause?: unknown,
): PikoError | undefined {
  const names = new Set(existing.map(({ name }) => name.toLowerCase()))
  const missing = [...filledNames(shape), ...shape.columns.map(({ column }) => column)].filter(
    (column) => !names.has(column.toLowerCase()),
  )
  if (missing.length === 0) return undefined
  const isAbsent = existing.length === 0
  const problem = isAbsent
    ? 'the table does not exist'
    : `the table has no column ${missing.join(', ')}; it has ${existing.map(({ name }) => name).join(', ')}`
  const statements = textOf(() =>
    isAbsent
      ? createTable(dialect, shape)
      : addColumns(
          dialect,
          shape,
          existing.map(({ name }) => name),
        ),
  )
  return new PikoError('SINK_TABLE_INVALID', `table ${shape.name}: ${problem}. ${statements}`, {
    ...(cause !== undefined && { cause }),
    details: { table: shape.name, missing },
  })
}

function textOf(statements: () => readonly string[]): string {
  try {
    return `Execute:\n${statements()
      .map((statement) => `${statement};`)
      .join('\n')}`
  } catch (error) {
    return (error as Error).message
  }
}
