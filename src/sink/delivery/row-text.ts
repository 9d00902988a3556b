import { headline, isObject } from '../../errors-read.ts'

/** A row as text. If the row is too large or can't be read, this is the beginning of its text, or the reason. */
export interface RowText {
  readonly text: string
  readonly isWhole: boolean
}

/** The maximum size of a row's text, in bytes. */
const MAX_ROW_BYTES = 256_000
/** How many characters to keep of a text that is too large. */
const KEPT_CHARACTERS = 4_000
const MAX_DEPTH = 64
const TAGGED = /^\$(?:date|bigint|bytes|number|map|set|object)$/

/**
 * Converts a row to JSON. A value that JSON can't represent becomes an object with one key: `{"$date": "2026-01-01T00:00:00.000Z"}`,
 * `{"$bigint": "1"}`, `{"$bytes": "AQI="}`.
 */
export function rowText(row: unknown): RowText {
  let text: string
  try {
    text = JSON.stringify(plain(row, 0)) ?? 'null'
  } catch (error) {
    return { text: JSON.stringify(`unreadable: ${headline(error)}`), isWhole: false }
  }
  if (Buffer.byteLength(text) <= MAX_ROW_BYTES) return { text, isWhole: true }
  return { text: text.slice(0, KEPT_CHARACTERS).toWellFormed(), isWhole: false }
}

/** Reads a row from its whole text. @throws SyntaxError */
export function rowOfText(text: string): unknown {
  return revived(JSON.parse(text))
}

function plain(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new RangeError('it is nested too deeply')
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { $number: Object.is(value, -0) ? '-0' : String(value) }
  if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`it holds a ${typeof value}`)
  if (!isObject(value)) return value
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString() }
  if (ArrayBuffer.isView(value)) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  }
  if (Array.isArray(value)) return value.map((part: unknown) => plain(part, depth + 1))
  if (value instanceof Map) return { $map: [...value].map((pair) => plain(pair, depth + 1)) }
  if (value instanceof Set) return { $set: [...value].map((part) => plain(part, depth + 1)) }
  const parts = Object.entries(value).map(([key, part]) => [key, plain(part, depth + 1)] as const)
  const copy = Object.fromEntries(parts)
  return isTagged(copy) ? { $object: copy } : copy
}

function revived(value: unknown): unknown {
  if (!isObject(value)) return value
  if (Array.isArray(value)) return value.map(revived)
  const entries = Object.entries(value)
  const [first] = entries
  if (!first || !isTagged(value)) return Object.fromEntries(entries.map(([key, part]) => [key, revived(part)]))
  const [tag, content] = first as [string, unknown]
  const list = Array.isArray(content) ? (content as unknown[]).map(revived) : []
  switch (tag) {
    case '$date':
      return new Date(String(content))
    case '$bigint':
      return BigInt(String(content))
    case '$bytes':
      return Buffer.from(String(content), 'base64')
    case '$number':
      return Number(content)
    case '$map':
      return new Map(list as [unknown, unknown][])
    case '$set':
      return new Set(list)
    default:
      return Object.fromEntries(Object.entries(content as object).map(([key, part]) => [key, revived(part)]))
  }
}

function isTagged(value: object): boolean {
  const keys = Object.keys(value)
  return keys.length === 1 && TAGGED.test(keys[0] ?? '')
}
