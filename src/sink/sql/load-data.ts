import { loopTurn } from '../../loop-turn.ts'
import type { SqlValue } from '../../sql/sql.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import type { TableRows } from './insert-rows.ts'
import { instantTexts } from './instant-text.ts'

/** Rows as the file of a `LOAD DATA` statement. */
export interface LoadData {
  readonly sql: string
  readonly chunks: readonly Uint8Array[]
  readonly rows: number
}

/** Types whose columns store a number and its text alike. */
const NUMERIC = new Set([
  ...['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'double'],
  ...['integer', 'numeric', 'real'],
])
/** Rows that are encoded before the clock is looked at. */
const SLICE_ROWS = 200
const CHUNK_CHARACTERS = 128 * 1_024
/** Each chunk is a packet, and no server takes packets of more than `max_allowed_packet`. */
const MAX_CHUNK_BYTES = 128 * 1_024
const MAX_INTEGER = 2n ** 63n

/**
 * The statement and file that store the rows exactly as INSERTs would. Undefined if some value can't be written that way: a number for a
 * column of texts, whose form only the server knows, or a value that an INSERT refuses.
 *
 * @param types the types of the table's columns, in lower case
 */
export async function loadData(rows: TableRows, types: ReadonlyMap<string, string>): Promise<LoadData | undefined> {
  const width = rows.columns.length
  const count = rows.values.length / width
  const filled = filledTexts(rows)
  const inHex = rows.columns.map(() => false)
  if (!filled || !noteBytes(rows, types, inHex)) return undefined
  const fields = new Fields(inHex.slice(0, width - rows.filled))
  const chunks: Uint8Array[] = []
  let text = ''
  for (let from = 0; from < count; from += SLICE_ROWS) {
    if (loopTurn.isDue(false)) await loopTurn.next()
    const slice = fields.lines(rows.values, from, Math.min(from + SLICE_ROWS, count), width)
    if (slice === undefined) return undefined
    text += slice
    if (text.length < CHUNK_CHARACTERS) continue
    chunks.push(...packetsOf(text))
    text = ''
  }
  if (text !== '') chunks.push(...packetsOf(text))
  return { sql: statementOf(rows, inHex, filled), chunks, rows: count }
}

function packetsOf(text: string): Uint8Array[] {
  const bytes = Buffer.from(text)
  const packets: Uint8Array[] = []
  for (let from = 0; from < bytes.length; from += MAX_CHUNK_BYTES)
    packets.push(bytes.subarray(from, from + MAX_CHUNK_BYTES))
  return packets
}

/** Notes which columns have bytes: a text in UTF-8 can't contain them. Returns false for a number in a column of another type. */
function noteBytes({ columns, values }: TableRows, types: ReadonlyMap<string, string>, inHex: boolean[]): boolean {
  const isNumeric = columns.map((column) => NUMERIC.has(types.get(column.toLowerCase()) ?? ''))
  const width = columns.length
  for (let at = 0, column = 0; at < values.length; at++) {
    const value = values[at]
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      if (isNumeric[column] !== true) return false
    } else if (value instanceof Uint8Array) inHex[column] = true
    column = column + 1 === width ? 0 : column + 1
  }
  return true
}

/** The values that all rows share, as parts of the statement. */
function filledTexts({ columns, values, filled }: TableRows): string[] | undefined {
  const instant = instantTexts()
  const texts = values.slice(columns.length - filled, columns.length).map((value) => {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
    const text = value instanceof Date ? instant(value) : undefined
    return text === undefined ? undefined : `'${text}'`
  })
  return texts.every((text) => text !== undefined) ? texts : undefined
}

function statementOf(
  { table, columns, filled }: TableRows,
  inHex: readonly boolean[],
  texts: readonly string[],
): string {
  const own = columns.slice(0, columns.length - filled)
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

/** Writes the fields of rows, with hexadecimal digits for columns that have bytes. */
class Fields {
  readonly #inHex: readonly boolean[]
  readonly #instant = instantTexts()

  constructor(inHex: readonly boolean[]) {
    this.#inHex = inHex
  }

  /** Undefined if a value can't be written. */
  lines(values: readonly SqlValue[], from: number, to: number, width: number): string | undefined {
    const own = this.#inHex.length
    let text = ''
    for (let row = from; row < to; row++) {
      const first = row * width
      for (let column = 0; column < own; column++) {
        const value = values[first + column] ?? null
        const field = this.#inHex[column] ? hexOf(value) : this.#field(value)
        if (field === undefined) return undefined
        text += column === 0 ? field : `\t${field}`
      }
      text += '\n'
    }
    return text
  }

  #field(value: SqlValue): string | undefined {
    switch (typeof value) {
      case 'string':
        return escaped(value)
      case 'number':
        return numberOf(value)
      case 'bigint':
        return integer(value)
      case 'boolean':
        return value ? '1' : '0'
      default:
        if (value === null) return String.raw`\N`
        return value instanceof Date ? this.#instant(value) : undefined
    }
  }
}

/** JavaScript prints an integer beyond 2^53 with zeros for its last digits, and INSERTs send all digits of one with 64 bits. */
function numberOf(value: number): string {
  const isLarge = Number.isInteger(value) && !Number.isSafeInteger(value)
  return (isLarge ? integer(BigInt(value)) : undefined) ?? String(value)
}

function integer(value: bigint): string | undefined {
  return value >= -MAX_INTEGER && value < MAX_INTEGER ? String(value) : undefined
}

function hexOf(value: SqlValue): string | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')
  if (typeof value === 'string') return Buffer.from(value).toString('hex')
  return value === null ? String.raw`\N` : undefined
}

const SPECIAL = /[\\\t\n\0]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\0': '\\0' }

function escaped(text: string): string {
  return SPECIAL.test(text) ? text.replace(/[\\\t\n\0]/g, (character) => ESCAPES[character] ?? '') : text
}
