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
 * are bound, so that the text and its prepared statement can be reused for the same columns and number of rows. A column with the same value
 * in all rows comes first, and its text is built once, unless it is bound.
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
  const lists = [...differing.values()]
  const [first = []] = columns.values()
  const names = [...shared.keys(), ...differing.keys()].join(',')
  if (!isMysql && first.length > 1 && lists.length > 0 && !lists.some((cells) => cells.includes(NOW))) {
    const into = `${verb} ${table} (${names})`
    const shape = { into, shared: [...shared.values()], now: now.text, bound: lists.length, rows: first.length, ending }
    return CompiledQuery.raw(sqliteText(shape), rowByRow(lists, first.length))
  }
  const opening = `(${[...shared.values()].join(',')}${shared.size > 0 && differing.size > 0 ? ',' : ''}`
  let text = ''
  for (let row = 0; row < first.length; row++) {
    text += row === 0 ? opening : `,${opening}`
    for (let column = 0; column < lists.length; column++)
      text += (column === 0 ? '' : ',') + textOf(lists[column]?.[row] as Cell)
    text += ')'
  }
  return CompiledQuery.raw(`${verb} ${table} (${names}) VALUES ${text}${ending}`, values)
}

/** What the text of a bulk INSERT on SQLite depends on. */
interface SqliteShape {
  /** Such as `INSERT INTO piko_run (created_at,job_id)`. */
  readonly into: string
  /** The texts of the first columns, which are the same in all rows. */
  readonly shared: readonly string[]
  /** The text of the database's time. */
  readonly now: string
  /** How many columns follow whose values are bound. */
  readonly bound: number
  readonly rows: number
  readonly ending: string
}

const MAX_TEXTS = 100
const sqliteTexts = new Map<string, string>()

/**
 * Returns the text of a bulk INSERT on SQLite. SQLite would compute the time again for each row, which takes as long as storing
 * the rest of the row. So the rows are joined with one row that has the time; `CROSS JOIN` keeps them in order.
 */
function sqliteText({ into, shared, now, bound, rows, ending }: SqliteShape): string {
  const key = [into, shared, bound, rows, ending].join('\n')
  const known = sqliteTexts.get(key)
  if (known !== undefined) return known
  const row = `(${Array.from({ length: bound }, () => '?').join(',')})`
  const given = `(VALUES ${row}${`,${row}`.repeat(rows - 1)}) AS given`
  const columns = Array.from({ length: bound }, (_, index) => `given.column${index + 1}`)
  const opening = shared.includes(now) ? `WITH clock(now) AS MATERIALIZED (SELECT ${now}) ` : ''
  const selected = [...shared.map((text) => (text === now ? 'clock.now' : text)), ...columns].join(',')
  // Without `WHERE`, SQLite would parse a following `ON CONFLICT` as a join condition.
  const text = `${opening}${into} SELECT ${selected} FROM ${given}${opening && ' CROSS JOIN clock'} WHERE true${ending}`
  if (sqliteTexts.size >= MAX_TEXTS) sqliteTexts.clear()
  sqliteTexts.set(key, text)
  return text
}

function rowByRow(columns: readonly (readonly Cell[])[], rows: number): Cell[] {
  const values: Cell[] = []
  for (let row = 0; row < rows; row++) for (const cells of columns) values.push(cells[row] as Cell)
  return values
}

/** Turns rows into columns. */
export function columnsOf(names: readonly string[], rows: readonly (readonly Cell[])[]): Columns {
  return new Map(names.map((name, index) => [name, rows.map((row) => row[index] as Cell)]))
}
