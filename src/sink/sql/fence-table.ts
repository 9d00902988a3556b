import type { SqlExecutor } from '../../sql/sql.ts'
import { quotedTable } from '../../sql/sql-text.ts'
import { fenceType, windowType } from './column-types.ts'

type SqlDialect = SqlExecutor['dialect']

/**
 * The name of the fence table. Each schema has one, with the fences of all its other tables. Migrations create it in Piko's own database.
 */
const FENCE_TABLE = 'piko_fence'

/** Returns the name of the fence table in the schema of a table. */
export function fenceTableOf(table: string): string {
  const [schema] = table.includes('.') ? table.split('.') : []
  return schema === undefined ? FENCE_TABLE : `${schema}.${FENCE_TABLE}`
}

/** Returns the name of a table without its schema. */
export function bareName(table: string): string {
  return table.split('.').at(-1) ?? table
}

/** Returns the statement that creates the fence table in the schema of a table. */
export function createFenceTable(dialect: SqlDialect, table: string): string {
  const [name, batches, options] =
    dialect === 'mysql'
      ? ['VARCHAR(64)', 'MEDIUMTEXT', ' ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin']
      : ['TEXT', 'TEXT', '']
  const columns = [
    `table_name ${name} NOT NULL`,
    `window_start ${windowType(dialect)} NOT NULL`,
    `fence ${fenceType(dialect)} NOT NULL`,
    `batches ${batches} NOT NULL`,
    `row_count ${fenceType(dialect)}`,
    'PRIMARY KEY (table_name, window_start)',
  ]
  return `CREATE TABLE IF NOT EXISTS ${quotedTable(dialect, fenceTableOf(table))} (\n  ${columns.join(',\n  ')}\n)${options}`
}
