import { PikoError } from '../../errors.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import { bareName } from './fence-table.ts'

/**
 * Returns the columns of each unique index of the table, in lower case. Ignores indexes that contain only prefixes of values or only some
 * rows.
 */
export async function uniqueIndexes(on: SqlExecutor, name: string): Promise<readonly (readonly string[])[]> {
  const [table = name, schema] = name.split('.').reverse()
  const rows =
    on.dialect === 'mysql'
      ? await on.query<IndexColumn>(
          'SELECT index_name AS name, column_name AS col, sub_part IS NULL AS is_whole FROM information_schema.statistics' +
            ' WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0',
          [schema ?? null, table],
        )
      : await on.query<IndexColumn>(
          'SELECT l.name, i.name AS col, l.partial = 0 AS is_whole' +
            ` FROM pragma_index_list(?${schema === undefined ? '' : ', ?'}) l` +
            ` JOIN pragma_index_info(l.name${schema === undefined ? '' : ', ?'}) i WHERE l."unique" = 1` +
            // A single INTEGER PRIMARY KEY has no index of its own, because it is the order of the table itself.
            ` UNION ALL SELECT '', name, 1 FROM pragma_table_info(?${schema === undefined ? '' : ', ?'}) WHERE pk > 0`,
          schema === undefined ? [table, table] : [table, schema, schema, table, schema],
        )
  return [...Map.groupBy(rows, (row) => row.name).values()]
    .filter((columns) => columns.every(({ col, is_whole }) => col !== null && Number(is_whole) === 1))
    .map((columns) => columns.map(({ col }) => String(col).toLowerCase()))
}

interface IndexColumn {
  readonly [column: string]: unknown
  readonly name: string
  readonly col: string | null
  readonly is_whole: unknown
}

/** Whether one of the indexes has exactly these columns, in any order. */
export function isUnique(indexes: readonly (readonly string[])[], columns: readonly string[]): boolean {
  const wanted = new Set(columns.map((column) => column.toLowerCase()))
  return indexes.some((index) => index.length === wanted.size && index.every((column) => wanted.has(column)))
}

/**
 * Creates the error for a table whose key has no unique index.
 *
 * @param why what follows from the missing index, for the message
 */
export function noIndex(
  dialect: SqlExecutor['dialect'],
  name: string,
  columns: readonly string[],
  why: string,
): PikoError {
  const list = columns.join(', ')
  return new PikoError(
    'SINK_TABLE_INVALID',
    `table ${name}: it has no unique index with exactly the columns ${list}; ${why}. Execute:\n${createIndex(dialect, name, columns)};`,
    { details: { table: name, missing: [], index: columns } },
  )
}

function createIndex(dialect: SqlExecutor['dialect'], name: string, columns: readonly string[]): string {
  const index = `${bareName(name)}_key`.slice(-64)
  const list = columns.map((column) => quoted(dialect, column)).join(', ')
  if (dialect === 'mysql') {
    return `CREATE UNIQUE INDEX ${quoted(dialect, index)} ON ${quotedTable(dialect, name)} (${list})`
  }
  // In SQLite, the schema is a prefix of the index's name and not of its table's.
  const schema = name.includes('.') ? `${name.split('.')[0]}.` : ''
  return `CREATE UNIQUE INDEX ${quotedTable(dialect, schema + index)} ON ${quoted(dialect, bareName(name))} (${list})`
}
