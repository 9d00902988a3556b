import { unfitValue } from './row-text.ts'

const EXPECTED = 'a finite number, a string, a date, bytes, a plain object, an array or null'
/** Inserts a string into JSON unchanged. TypeScript has no type for this function yet. */
const rawJson = (JSON as unknown as { readonly rawJSON: (text: string) => object }).rawJSON
/** How many levels a value may be nested. A deeper value is refused, because it may contain itself. */
const MAX_DEPTH = 100

/**
 * Writes a row as JSON without loss: `bigint` as a number with all digits, bytes in base64.
 *
 * @param where the position of the row, for messages
 * @throws PikoError `SINK_ROW_INVALID` for what JSON would change or drop: NaN, an invalid date, a function, an instance of a class other
 * than `Date` and `Uint8Array`
 */
export function jsonText(row: object, where: () => string): string {
  // The row itself may be an instance of a class. Its own properties are written.
  return isPlain(row, '', where, 0) ? JSON.stringify(row) : JSON.stringify(converted(row))
}

/** Whether `JSON.stringify` alone writes the value without loss. @throws PikoError `SINK_ROW_INVALID` if JSON can't represent it at all */
function isPlain(value: unknown, path: string, where: () => string, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true
    case 'number':
      if (Number.isFinite(value)) return true
      break
    case 'bigint':
      return false
    case 'object':
      return value === null || isPlainObject(value, path, where, depth)
    default:
  }
  throw unfitValue(where(), path, value, EXPECTED)
}

function isPlainObject(value: object, path: string, where: () => string, depth: number): boolean {
  if (value instanceof Uint8Array) return false
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw unfitValue(where(), path, value, EXPECTED)
    return true
  }
  if (depth > MAX_DEPTH) throw unfitValue(where(), path, value, `at most ${MAX_DEPTH} levels`)
  if (depth > 0 && !hasPlainPrototype(value)) throw unfitValue(where(), path, value, EXPECTED)
  let plain = true
  // All parts are visited even after one that is not plain, because each of them may have to be refused.
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key]
    if (!isPlain(inner, path === '' ? key : `${path}.${key}`, where, depth + 1)) plain = false
  }
  return plain
}

function hasPlainPrototype(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype || prototype === null
}

function converted(value: unknown): unknown {
  if (typeof value === 'bigint') return rawJson(String(value))
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (Array.isArray(value)) return value.map(converted)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, converted(inner)]))
}
