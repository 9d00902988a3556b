import { CompiledQuery } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'

/** The value of a cell that means the database's time. */
export const NOW = Symbol('now')

export type Cell = string | number | Date | null | typeof NOW

/**
 * Text that has the same meaning between single quotes in every SQL mode and character set: printable ASCII without single quotes and
 * backslashes. Excludes the driver's placeholder character, too.
 */
export const PLAIN = /^[ -&(->@-[\]-~]*$/

/** The cells of each column, by its name. All columns have the same number of cells. */
export type Columns = ReadonlyMap<string, readonly Cell[]>

/**
 * Builds one INSERT of many rows as text. For a thousand rows, a query builder would take longer than the database.
 *
 * On MySQL, plain values are written into the text, because the driver searches the text for each placeholder. On SQLite, all values
 * are bound, so that the prepared statement can be reused for the same columns and number of rows. A column with the same value in all rows
 * comes first, and its text is built once, unless it is bound.
 *
 * @param ending such as ` RETURNING id`
 * @param verb such as `INSERT IGNORE INTO`
 */
export function bulkInsert(
  dialect: Dialect,
  table: string,
  columns: Columns,
  ending = '',
  verb = 'INSERT INTO',
): CompiledQuery {
  const now = dialect.nowText()
  const values: unknown[] = []
  const isMysql = dialect.name === 'mysql'
  /** Returns the text of a cell, or undefined if its value must be bound. */
  const literalOf = (cell: Cell): string | undefined => {
    if (cell === null) return 'NULL'
    if (cell === NOW) return now.values.length === 0 ? now.text : undefined
    if (!isMysql) return undefined
    if (typeof cell === 'number') return String(cell)
    if (cell instanceof Date) return `'${cell.toISOString().slice(0, 23).replace('T', ' ')}'`
    return PLAIN.test(cell) ? `'${cell}'` : undefined
  }
  const textOf = (cell: Cell): string => {
    const text = literalOf(cell)
    if (text !== undefined) return text
    if (cell === NOW) {
      values.push(...now.values)
      return now.text
    }
    values.push(cell)
    return '?'
  }
  const shared = new Map<string, string>()
  const differing = new Map<string, readonly Cell[]>()
  for (const [name, cells] of columns) {
    const text = cells.every((cell) => cell === cells[0]) ? literalOf(cells[0] ?? null) : undefined
    if (text === undefined) differing.set(name, cells)
    else shared.set(name, text)
  }
  const opening = `(${[...shared.values()].join(',')}${shared.size > 0 && differing.size > 0 ? ',' : ''}`
  const lists = [...differing.values()]
  const [first = []] = columns.values()
  let text = ''
  for (let row = 0; row < first.length; row++) {
    text += row === 0 ? opening : `,${opening}`
    for (let column = 0; column < lists.length; column++)
      text += (column === 0 ? '' : ',') + textOf(lists[column]?.[row] as Cell)
    text += ')'
  }
  const names = [...shared.keys(), ...differing.keys()].join(',')
  return CompiledQuery.raw(`${verb} ${table} (${names}) VALUES ${text}${ending}`, values)
}

/** Turns rows into columns. */
export function columnsOf(names: readonly string[], rows: readonly (readonly Cell[])[]): Columns {
  return new Map(names.map((name, index) => [name, rows.map((row) => row[index] as Cell)]))
}
