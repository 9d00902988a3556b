import type { z } from 'zod'
import { isObject, propertyOf, safely } from '../../errors-read.ts'
import { describe, PikoError } from '../../errors.ts'
import {
  aText,
  expecting,
  flag,
  listOf,
  nearestName,
  oneOf,
  type OptionChecks,
  problemsText,
  readOptions,
} from '../../options.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import { isSchema } from '../on.ts'
import { type ColumnKind, modelColumns } from './model-columns.ts'

/** How `replace` and `insert` send rows: with LOAD DATA, with multi-row INSERTs, or `auto` with LOAD DATA if the server allows it. */
export type BulkMode = 'auto' | 'insert' | 'load'

export interface SqlTableOptions<Row extends object> {
  /** The name of the table: `orders`, or with its schema `sales.orders`. */
  readonly name: string
  /**
   * The properties of the row to store: a list if the columns have the same names, otherwise `{ property: 'column' }`. Default: all
   * properties of the `model`.
   */
  readonly columns?: readonly (keyof Row & string)[] | Readonly<Partial<Record<keyof Row & string, string>>>
  /**
   * The zod object schema of the rows. It gives the default of `columns` and the types in {@link SqlTable.ddl}; the sink checks rows with
   * its own model.
   */
  readonly model?: z.ZodType<Row>
  /**
   * The columns that identify a row within its window, or within the table if it has no window column. They are part of the primary key in
   * {@link SqlTable.ddl}, and the default key columns of `upsert` and `merge`. Default: none.
   */
  readonly key?: readonly string[]
  /**
   * SQL types of columns for {@link SqlTable.ddl}, such as `{ total: 'DECIMAL(12,2) NOT NULL' }`. They replace the types that the model
   * gives.
   */
  readonly types?: Readonly<Record<string, string>>
  /** The column with the start of the run's window. `null`: the table has no such column. Default `'window_start'`. */
  readonly windowColumn?: string | null
  /**
   * The column (NOT NULL, 64 bits) with the fence of the run. It prevents a run from writing after a newer run of its window. Default:
   * none.
   */
  readonly fenceColumn?: string
  /**
   * Whether a checksum of a window's rows is recorded when its run ends, so that a proof also finds rows that were changed later. This
   * reads the rows of each window once more. Needs `fenceColumn` and a window column. Default false.
   */
  readonly checksum?: boolean
  /**
   * The maximum number of rows per INSERT statement, at most 1,000. A statement has fewer rows if it would exceed 1 MB or 30,000 values.
   * Default 1,000.
   */
  readonly chunkSize?: number
  /**
   * How `replace` and `insert` send rows to MySQL. `insert`: multi-row INSERTs. `load`: `LOAD DATA LOCAL INFILE`; the write fails if the
   * server refuses it. `auto`: `load` for batches of at least 100 rows if the server allows it, otherwise `insert`. Default `auto`.
   */
  readonly bulk?: BulkMode
}

/** A column, and the property of the row that it stores. */
export interface TableColumn {
  readonly property: string
  readonly column: string
  readonly kind: ColumnKind | undefined
  readonly isNullable: boolean
}

/** The checked options of a table. */
export interface TableShape {
  readonly name: string
  readonly columns: readonly TableColumn[]
  readonly key: readonly string[]
  readonly types: ReadonlyMap<string, string>
  readonly windowColumn: string | null
  readonly fenceColumn: string | undefined
  readonly checksum: boolean
  readonly chunkSize: number
  readonly bulk: BulkMode
}

export const MAX_CHUNK_ROWS = 1_000

const COLUMN_LIST = "a list of columns, or { property: 'column' }"

const CHECKS: OptionChecks<SqlTableOptions<Record<string, unknown>>> = {
  name: aText,
  columns: expecting(
    COLUMN_LIST,
    (value) => isObject(value) && safely(() => !Object.values(value).some(isObject), false),
  ),
  model: expecting('a zod object schema', (value) => isSchema(value) && modelColumns(value) !== undefined),
  key: listOf('columns', aText),
  types: expecting(
    "SQL types by column, such as { total: 'DECIMAL(12,2)' }",
    (value) => isObject(value) && Object.values(value).every((type) => typeof type === 'string' && SQL_TYPE.test(type)),
  ),
  windowColumn: expecting('the name of a column, or null', (value) => value === null || typeof value === 'string'),
  fenceColumn: aText,
  checksum: flag,
  chunkSize: expecting(`a whole number from 1 to ${MAX_CHUNK_ROWS}`, isChunkSize),
  bulk: oneOf('auto', 'insert', 'load'),
}

/**
 * Matches a column type. Types may come from a configuration, so they must be one line without `;`. Otherwise a type could end its
 * statement.
 */
const SQL_TYPE = /^[^;\n\r\0]+$/

function isChunkSize(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= MAX_CHUNK_ROWS
}

const EXAMPLE = "{ name: 'orders', columns: ['id', 'total'] }"

/** Checks the options of a table. @throws PikoError `SINK_FAILED` naming every wrong option */
export function tableShape<Row extends object>(given: SqlTableOptions<Row>): TableShape {
  const { options, problems } = readOptions<SqlTableOptions<Row>>(given, CHECKS, EXAMPLE, ['name'])
  const { name = '', model, key = [], types = {}, windowColumn = 'window_start', fenceColumn } = options
  if (problems.length > 0) throw invalid(propertyOf(given, 'name'), problems)
  const ofModel = new Map((modelColumns(model) ?? []).map((column) => [column.property, column]))
  const columns = pairsOf(options.columns, [...ofModel.keys()]).map(([property, column]): TableColumn => {
    const { kind, isNullable = true } = ofModel.get(property) ?? {}
    return { property, column: column as string, kind, isNullable }
  })
  const filled = [windowColumn, fenceColumn].filter((column) => typeof column === 'string')
  const found = [
    ...namesOf(name, [...columns.map(({ column }) => column), ...filled]),
    ...(columns.length === 0 ? ['it has no columns; expected columns, or a model'] : []),
    ...twice([...columns.map(({ column }) => column), ...filled]),
    ...unknownIn('key', key, [...columns.map(({ column }) => column), ...filled]),
    ...unknownIn('types', Object.keys(types), [...columns.map(({ column }) => column), ...filled]),
    ...unknownProperties(columns, ofModel),
    ...(options.checksum === true && filled.length < 2 ? ['checksum needs a window column and a fenceColumn'] : []),
  ]
  if (found.length > 0) throw invalid(name, found)
  return {
    ...{ name, columns, windowColumn, fenceColumn },
    key: [...new Set(key)].filter((column) => !filled.includes(column)),
    types: new Map(Object.entries(types)),
    checksum: options.checksum ?? false,
    chunkSize: options.chunkSize ?? MAX_CHUNK_ROWS,
    bulk: options.bulk ?? 'auto',
  }
}

function pairsOf(columns: object | undefined, ofModel: readonly string[]): readonly (readonly [string, unknown])[] {
  const given = columns ?? ofModel
  return Array.isArray(given) ? given.map((column) => [String(column), column] as const) : Object.entries(given)
}

function namesOf(table: string, columns: readonly string[]): string[] {
  const problems: string[] = []
  const check = (what: () => unknown): void => {
    try {
      what()
    } catch (error) {
      problems.push((error as PikoError).message)
    }
  }
  check(() => quotedTable('mysql', table))
  for (const column of columns) check(() => quoted('mysql', column, 'column'))
  return problems
}

function twice(columns: readonly string[]): string[] {
  const found = columns.filter((column, index) => columns.indexOf(column) !== index)
  return [...new Set(found)].map(
    (column) =>
      `column ${column} is listed twice; the window and fence columns are filled from the run and not listed in columns`,
  )
}

function unknownIn(option: string, names: readonly string[], columns: readonly string[]): string[] {
  return names
    .filter((name) => !columns.includes(name))
    .map((name) => {
      const nearest = nearestName(name, columns)
      const advice = nearest === undefined ? `expected some of ${columns.join(', ')}` : `did you mean "${nearest}"?`
      return `${option} has ${describe(name)}, which is not a column; ${advice}`
    })
}

function unknownProperties(columns: readonly TableColumn[], ofModel: ReadonlyMap<string, unknown>): string[] {
  if (ofModel.size === 0) return []
  return columns
    .filter(({ property }) => !ofModel.has(property))
    .map(({ property }) => {
      const nearest = nearestName(property, [...ofModel.keys()])
      const advice = nearest === undefined ? `it has ${[...ofModel.keys()].join(', ')}` : `did you mean "${nearest}"?`
      return `columns has ${describe(property)}, which is not a property of the model; ${advice}`
    })
}

function invalid(name: unknown, problems: readonly string[]): PikoError {
  const subject = `table ${typeof name === 'string' ? name : describe(name)}`
  return new PikoError('SINK_FAILED', problemsText(subject, problems), { details: { problems } })
}
