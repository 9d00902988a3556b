import { CompiledQuery } from 'kysely'
import { type Dialect } from '../connection/dialect.ts'

/** Stands for the database's clock. */
export const NOW = Symbol('now')

export type Cell = string | number | Date | null | typeof NOW

/**
 * Text that means the same between single quotes in every SQL mode and character set: printable ASCII without quote and backslash; and
 * without the driver's mark of a placeholder.
 */
export const PLAIN = /^[ -&(->@-[\]-~]*$/

/**
 * One INSERT of many rows, written as text: a query builder takes longer over a thousand rows than the database does.
 *
 * On MySQL plain values are part of the text, since its driver looks through it for each placeholder. On SQLite all are bound, and the
 * text, which is the same for as many rows of the same kind, stays prepared.
 *
 * @param ending such as ` RETURNING id`
 */
export function bulkInsert(
  dialect: Dialect,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  ending = '',
): CompiledQuery {
  const now = dialect.nowText()
  const values: unknown[] = []
  const isMysql = dialect.name === 'mysql'
  const bind = (value: unknown): string => {
    values.push(value)
    return '?'
  }
  const textOf = (cell: Cell): string => {
    if (cell === null) return 'NULL'
    if (cell === NOW) {
      values.push(...now.values)
      return now.text
    }
    if (!isMysql) return bind(cell)
    if (typeof cell === 'number') return String(cell)
    if (cell instanceof Date) return `'${cell.toISOString().slice(0, 23).replace('T', ' ')}'`
    return PLAIN.test(cell) ? `'${cell}'` : bind(cell)
  }
  const texts = rows.map((row) => `(${row.map(textOf).join(',')})`)
  return CompiledQuery.raw(`INSERT INTO ${table} (${columns.join(',')}) VALUES ${texts.join(',')}${ending}`, values)
}
