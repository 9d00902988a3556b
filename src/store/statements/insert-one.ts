import { CompiledQuery } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import { type Cell, NOW } from './bulk-insert.ts'

/** The form of a cell: omitted because it equals the column's default, the time, NULL, or a bound value. */
const IS_DEFAULT = 0
const IS_NOW = 1
const IS_NULL = 2
const IS_VALUE = 3
const KINDS = 4
/** The kinds of more cells would exceed a safe integer. */
const MAX_COLUMNS = 26

/**
 * Builds the INSERT of one row into a table on SQLite. Its text is built once for rows with the same kinds of cells, because building it
 * takes longer than the database needs for the row. The statement returns the id.
 */
export class InsertOne<Name extends string> {
  readonly #table: string
  readonly #names: readonly Name[]
  readonly #defaults: Readonly<Partial<Record<Name, Cell>>>
  /** The texts for a dialect, by the kinds of the cells. */
  readonly #texts = new WeakMap<Dialect, Map<number, string>>()

  /** @param defaults what a cell means that is omitted; null for any other column, whose cells are never null unless null is its default */
  constructor(table: string, names: readonly Name[], defaults: Readonly<Partial<Record<Name, Cell>>>) {
    if (names.length > MAX_COLUMNS) throw new RangeError(`${table} has more than ${MAX_COLUMNS} columns`)
    this.#table = table
    this.#names = names
    this.#defaults = defaults
  }

  /** Returns undefined if the text would contain values: on MySQL, and if a test replaces the database's clock. */
  statement(dialect: Dialect, cellOf: (name: Name) => Cell): CompiledQuery | undefined {
    if (dialect.name !== 'sqlite' || dialect.nowText().values.length > 0) return undefined
    const values: Cell[] = []
    let kinds = 0
    for (const name of this.#names) {
      const cell = cellOf(name)
      const kind = cell === (this.#defaults[name] ?? null) ? IS_DEFAULT : kindOf(cell)
      if (kind === IS_VALUE) values.push(cell)
      kinds = kinds * KINDS + kind
    }
    let texts = this.#texts.get(dialect)
    if (!texts) this.#texts.set(dialect, (texts = new Map<number, string>()))
    let text = texts.get(kinds)
    if (text === undefined) texts.set(kinds, (text = this.#textOf(dialect, kinds)))
    return CompiledQuery.raw(text, values)
  }

  #textOf(dialect: Dialect, kinds: number): string {
    const columns: string[] = []
    const cells: string[] = []
    let rest = kinds
    for (const name of this.#names.toReversed()) {
      const kind = rest % KINDS
      rest = Math.floor(rest / KINDS)
      if (kind === IS_DEFAULT) continue
      columns.unshift(name)
      cells.unshift(kind === IS_NOW ? dialect.nowText().text : kind === IS_NULL ? 'NULL' : '?')
    }
    const row = columns.length === 0 ? 'DEFAULT VALUES' : `(${columns.join(',')}) VALUES (${cells.join(',')})`
    return `INSERT INTO ${this.#table} ${row} RETURNING id`
  }
}

function kindOf(cell: Cell): number {
  if (cell === NOW) return IS_NOW
  return cell === null ? IS_NULL : IS_VALUE
}
