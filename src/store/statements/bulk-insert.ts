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

/** The cells of each column, by its name; as many in each as there are rows. */
export type Columns = ReadonlyMap<string, readonly Cell[]>

/**
 * One INSERT of many rows, written as text: a query builder takes longer over a thousand rows than the database does.
 *
 * On MySQL plain values are part of the text, since its driver looks through it for each placeholder. On SQLite all are bound, and the
 * text, which is the same for as many rows of the same kind, stays prepared. A column that holds the same in all rows is written first,
 * and its text is made once, unless it is bound.
 *
 * @param ending such as ` RETURNING id`
 */
export function bulkInsert(dialect: Dialect, table: string, columns: Columns, ending = ''): CompiledQuery {
  const now = dialect.nowText()
  const values: unknown[] = []
  const isMysql = dialect.name === 'mysql'
  /** The text of a cell that binds nothing. */
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
  return CompiledQuery.raw(`INSERT INTO ${table} (${names}) VALUES ${text}${ending}`, values)
}

/** Turns rows into columns. */
export function columnsOf(names: readonly string[], rows: readonly (readonly Cell[])[]): Columns {
  return new Map(names.map((name, index) => [name, rows.map((row) => row[index] as Cell)]))
}
