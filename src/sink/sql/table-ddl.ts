import { PikoError } from '../../errors.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import { fenceType, sqlType, windowType } from './column-types.ts'
import { createFenceTable } from './fence-table.ts'
import type { TableColumn, TableShape } from './table-options.ts'

type SqlDialect = SqlExecutor['dialect']

/**
 * Returns the statements that create the table, its index, and the table for the fences of its windows. Execute them separately.
 *
 * @throws PikoError `SINK_FAILED` naming each column with an unknown type
 */
export function createTable(dialect: SqlDialect, shape: TableShape): readonly string[] {
  assertTyped(shape, shape.columns)
  const table = quotedTable(dialect, shape.name)
  const primary = primaryKey(shape)
  const index = primary.length > 0 ? [] : windowIndex(shape)
  const list = (columns: readonly string[]): string => columns.map((column) => quoted(dialect, column)).join(', ')
  const lines = [
    ...filledColumns(dialect, shape),
    ...shape.columns.map((column) => definition(dialect, shape, column)),
    ...(primary.length > 0 ? [`PRIMARY KEY (${list(primary)})`] : []),
    ...(index.length > 0 && dialect === 'mysql' ? [`KEY ${quoted(dialect, indexName(shape))} (${list(index)})`] : []),
  ]
  // With this collation, MySQL compares strings exactly, as SQLite does. With others, the keys "a" and "A" would be equal.
  const options = dialect === 'mysql' ? ' DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin' : ''
  const create = `CREATE TABLE IF NOT EXISTS ${table} (\n  ${lines.join(',\n  ')}\n)${options}`
  const isSeparate = index.length > 0 && dialect === 'sqlite'
  return [
    create,
    ...(isSeparate ? [`CREATE INDEX IF NOT EXISTS ${indexOf(dialect, shape)} (${list(index)})`] : []),
    ...(shape.windowColumn === null ? [] : [createFenceTable(dialect, shape.name)]),
  ]
}

/**
 * Returns the statements that add missing columns to an existing table. The new columns accept NULL: existing rows have no values for them,
 * and an older version of the code may still insert rows without them.
 *
 * @param existing the names of the table's columns
 * @throws PikoError `SINK_FAILED` if a missing column can't be added later, or its type is unknown
 */
export function addColumns(dialect: SqlDialect, shape: TableShape, existing: readonly string[]): readonly string[] {
  const known = new Set(existing.map((column) => column.toLowerCase()))
  const isMissing = (column: string): boolean => !known.has(column.toLowerCase())
  const fixed = [...filledNames(shape), ...shape.key].filter(isMissing)
  if (fixed.length > 0) {
    throw failed(
      shape,
      `the window, fence and key columns can't be added to a table that has rows, but it lacks ${fixed.join(', ')}; ` +
        'create a new table with ddl(), and copy the rows',
    )
  }
  const missing = shape.columns.filter(({ column }) => isMissing(column))
  assertTyped(shape, missing)
  const parts = missing.map((column) => {
    const name = quoted(dialect, column.column)
    const type = shape.types.get(column.column)?.replace(/\s+NOT\s+NULL\b(?!.*\bDEFAULT\b)/i, '')
    return `ADD COLUMN ${name} ${type ?? `${typeOf(dialect, shape, column)} NULL`}`
  })
  const alter = `ALTER TABLE ${quotedTable(dialect, shape.name)} `
  if (dialect === 'sqlite') return parts.map((part) => alter + part)
  return parts.length > 0 ? [alter + parts.join(', ')] : []
}

/**
 * Returns the names of the window and fence columns. The unique index for `merge` begins with them, and `replace` finds the rows to delete
 * by them.
 */
export function filledNames({ windowColumn, fenceColumn }: TableShape): string[] {
  return [windowColumn, fenceColumn].filter((column) => typeof column === 'string')
}

/** Returns the columns of the primary key. They include the fence, because rows of an older run stay until the newer run is complete. */
function primaryKey(shape: TableShape): readonly string[] {
  if (shape.key.length === 0) return []
  return shape.windowColumn === null ? shape.key : [...filledNames(shape), ...shape.key]
}

function windowIndex(shape: TableShape): readonly string[] {
  return shape.windowColumn === null ? [] : filledNames(shape)
}

function filledColumns(dialect: SqlDialect, { windowColumn, fenceColumn, types }: TableShape): string[] {
  return [
    ...(windowColumn === null ? [] : [[windowColumn, windowType(dialect)] as const]),
    ...(fenceColumn === undefined ? [] : [[fenceColumn, fenceType(dialect)] as const]),
  ].map(([column, type]) => `${quoted(dialect, column)} ${types.get(column) ?? `${type} NOT NULL`}`)
}

function definition(dialect: SqlDialect, shape: TableShape, column: TableColumn): string {
  const name = quoted(dialect, column.column)
  const isKey = shape.key.includes(column.column)
  const own = shape.types.get(column.column)
  if (own !== undefined) return `${name} ${own}${isKey && !/\bNULL\b/i.test(own) ? ' NOT NULL' : ''}`
  return `${name} ${typeOf(dialect, shape, column)}${column.isNullable && !isKey ? ' NULL' : ' NOT NULL'}`
}

function typeOf(dialect: SqlDialect, { key }: TableShape, { column, kind }: TableColumn): string {
  return kind === undefined ? '' : sqlType(dialect, kind, key.includes(column))
}

function assertTyped(shape: TableShape, columns: readonly TableColumn[]): void {
  const untyped = columns
    .filter(({ column, kind }) => kind === undefined && !shape.types.has(column))
    .map(({ column }) => column)
  if (untyped.length === 0) return
  const example = untyped.map((column) => `${column}: 'VARCHAR(100)'`).join(', ')
  throw failed(
    shape,
    `the SQL type of ${untyped.join(', ')} is unknown; give a zod model that shows it, or types: { ${example} }`,
  )
}

function indexName({ name }: TableShape): string {
  return `${name.split('.').at(-1) ?? name}_window`.slice(-64)
}

/** Returns the index and its table as SQL. In SQLite, the schema is a prefix of the index's name and not of the table's. */
function indexOf(dialect: SqlDialect, shape: TableShape): string {
  const parts = shape.name.split('.')
  const table = quoted(dialect, parts.at(-1) ?? shape.name)
  const index = quotedTable(dialect, [...parts.slice(0, -1), indexName(shape)].join('.'))
  return `${index} ON ${table}`
}

function failed({ name }: TableShape, problem: string): PikoError {
  return new PikoError('SINK_FAILED', `table ${name}: ${problem}`, { details: { table: name } })
}
