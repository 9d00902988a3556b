import { loopTurn } from '../../loop-turn.ts'
import type { SqlValue } from '../../sql/sql.ts'
import { quoted, quotedTable, toSqlValue } from '../../sql/sql-text.ts'
import type { TableRows } from './insert-rows.ts'
import { instantTexts } from './instant-text.ts'

/** Column types in which a number and its text are stored as the same value. */
const NUMERIC = new Set([
  ...['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'double'],
  ...['integer', 'numeric', 'real'],
])
/** Column types for bytes. A UTF-8 file can't contain all bytes, so these fields are written as hexadecimal digits. */
const BINARY = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'])
/** After this many rows, the clock is read again. */
const SLICE_ROWS = 200
const CHUNK_CHARACTERS = 128 * 1_024
/** The maximum size of a chunk in bytes. Each chunk is a packet, and a server refuses packets larger than `max_allowed_packet`. */
const MAX_CHUNK_BYTES = 256 * 1_024
const MAX_INTEGER = 2n ** 63n

/** Rows as the file of a `LOAD DATA` statement. The result is exactly that of INSERTs. The rows are encoded while the server reads them. */
export class LoadData {
  readonly sql: string
  readonly #rows: TableRows
  readonly #fields: Fields
  #failure: { readonly error: unknown } | undefined

  /**
   * Creates the file. Returns undefined if a value can't be written to it as INSERTs store it, such as bytes or a number for a string
   * column. Checks only the first row; for later rows, {@link failure} reports the same.
   *
   * @param types the types of the table's columns, in lower case
   * @throws PikoError `SINK_ROW_INVALID`
   */
  static of(rows: TableRows, types: ReadonlyMap<string, string>): LoadData | undefined {
    const filled = rows.filled.map(filledText)
    const fields = new Fields(rows, types)
    const [first] = rows.rows
    if (!filled.every((text) => text !== undefined) || (first && fields.line(first, 0) === undefined)) return undefined
    return new LoadData(rows, fields, statementOf(rows, fields.inHex, filled))
  }

  private constructor(rows: TableRows, fields: Fields, sql: string) {
    this.#rows = rows
    this.#fields = fields
    this.sql = sql
  }

  get rows(): number {
    return this.#rows.rows.length
  }

  /** Why the last file is incomplete; undefined if it is complete. If its `error` is undefined, a value could not be written. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  /**
   * Yields the file from its beginning. If there is an error, it ends early and sets {@link failure}, because mysql2 can't handle errors of
   * a stream.
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    this.#failure = undefined
    const { rows } = this.#rows
    let text = ''
    for (let from = 0; from < rows.length; from += SLICE_ROWS) {
      if (loopTurn.isDue(false)) await loopTurn.next()
      const slice = this.#slice(from)
      if (slice === undefined) return
      text += slice
      if (text.length < CHUNK_CHARACTERS) continue
      yield* packetsOf(text)
      text = ''
    }
    if (text !== '') yield* packetsOf(text)
  }

  #slice(from: number): string | undefined {
    const { rows } = this.#rows
    const to = Math.min(from + SLICE_ROWS, rows.length)
    let text = ''
    try {
      for (let at = from; at < to; at++) {
        const line = this.#fields.line(rows[at] as object, at)
        if (line === undefined) {
          this.#failure = { error: undefined }
          return undefined
        }
        text += line
      }
    } catch (error) {
      this.#failure = { error }
      return undefined
    }
    return text
  }
}

function* packetsOf(text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let from = 0; from < bytes.length; from += MAX_CHUNK_BYTES) yield bytes.subarray(from, from + MAX_CHUNK_BYTES)
}

/** Returns the SQL text of a value that is the same in all rows; undefined if the value has no such text. */
function filledText(value: SqlValue): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  const text = value instanceof Date ? instantTexts()(value) : undefined
  return text === undefined ? undefined : `'${text}'`
}

function statementOf(
  { table, columns, properties }: TableRows,
  inHex: readonly boolean[],
  texts: readonly (string | undefined)[],
): string {
  const own = columns.slice(0, properties.length)
  const targets = own.map((column, index) => (inHex[index] ? `@piko${index}` : quoted('mysql', column)))
  const sets = [
    ...own.flatMap((column, index) => (inHex[index] ? [`${quoted('mysql', column)} = UNHEX(@piko${index})`] : [])),
    ...columns.slice(own.length).map((column, index) => `${quoted('mysql', column)} = ${texts[index]}`),
  ]
  return (
    `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${quotedTable('mysql', table)} CHARACTER SET utf8mb4 ` +
    String.raw`FIELDS TERMINATED BY '\t' ENCLOSED BY '' ESCAPED BY '\\' LINES TERMINATED BY '\n' ` +
    `(${targets.join(', ')})${sets.length > 0 ? ` SET ${sets.join(', ')}` : ''}`
  )
}

const NULL = String.raw`\N`

/** Writes rows as lines of the file. */
class Fields {
  /** Whether the fields of each column are written in hexadecimal digits. */
  readonly inHex: readonly boolean[]
  readonly #table: string
  readonly #properties: readonly string[]
  readonly #isNumeric: readonly boolean[]
  readonly #instant = instantTexts()

  constructor({ table, columns, properties }: TableRows, types: ReadonlyMap<string, string>) {
    const known = properties.map((_, index) => types.get(columns[index]?.toLowerCase() ?? '') ?? '')
    this.#table = table
    this.#properties = properties
    this.#isNumeric = known.map((type) => NUMERIC.has(type))
    this.inHex = known.map((type) => BINARY.has(type))
  }

  /** Returns the line of a row; undefined if a value can't be written. @throws PikoError `SINK_ROW_INVALID` */
  line(row: object, index: number): string | undefined {
    const properties = this.#properties
    let line = ''
    for (let column = 0; column < properties.length; column++) {
      const value = (row as Record<string, unknown>)[properties[column] as string]
      const field = this.inHex[column] ? this.#hex(value, column, index) : this.#field(value, column, index)
      if (field === undefined) return undefined
      line += column === 0 ? field : `\t${field}`
    }
    return `${line}\n`
  }

  #field(value: unknown, column: number, index: number): string | undefined {
    switch (typeof value) {
      case 'string':
        return escaped(value)
      case 'number':
        if (this.#isNumeric[column] !== true) break
        return Number.isFinite(value) ? numberOf(value) : this.#refused(value, column, index)
      case 'undefined':
        return NULL
      case 'bigint':
        return this.#isNumeric[column] === true ? integer(value) : undefined
      case 'boolean':
        return this.#isNumeric[column] !== true ? undefined : value ? '1' : '0'
      default:
        if (value === null) return NULL
        if (value instanceof Date) return this.#instant(value) ?? this.#refused(value, column, index)
    }
    const bound = this.#bound(value, column, index)
    return typeof bound === 'string' ? escaped(bound) : undefined
  }

  #hex(value: unknown, column: number, index: number): string | undefined {
    const bound = this.#bound(value, column, index)
    if (bound === null) return NULL
    if (bound instanceof Uint8Array)
      return Buffer.from(bound.buffer, bound.byteOffset, bound.byteLength).toString('hex')
    return typeof bound === 'string' ? Buffer.from(bound).toString('hex') : undefined
  }

  #bound(value: unknown, column: number, index: number): SqlValue {
    return toSqlValue(value, () => `${this.#properties[column]} of row ${index} for table ${this.#table}`)
  }

  /**
   * Handles a value that can't be written. Returns undefined if INSERTs can store it.
   *
   * @throws PikoError `SINK_ROW_INVALID` if they can't either
   */
  #refused(value: unknown, column: number, index: number): undefined {
    this.#bound(value, column, index)
  }
}

/** Formats a number as INSERTs send it. A 64-bit integer has all its digits; JavaScript would print zeros for the last ones. */
function numberOf(value: number): string {
  if (Number.isSafeInteger(value) || !Number.isInteger(value)) return String(value)
  return integer(BigInt(value)) ?? String(value)
}

function integer(value: bigint): string | undefined {
  return value >= -MAX_INTEGER && value < MAX_INTEGER ? String(value) : undefined
}

const SPECIAL = /[\\\t\n\0]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\0': '\\0' }

function escaped(text: string): string {
  return SPECIAL.test(text) ? text.replace(/[\\\t\n\0]/g, (character) => ESCAPES[character] ?? '') : text
}
