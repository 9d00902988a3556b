import { describe, PikoError } from '../errors.ts'
import { jsonCopy, kindOf, pathText } from '../json/json-copy.ts'
import { smallCopy } from '../json/small-copy.ts'
import type { SqlExecutor, SqlValue } from './sql.ts'

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$]{0,63}$/
const QUOTE = { mysql: '`', sqlite: '"' } as const

/**
 * Quotes an identifier for the dialect.
 *
 * @throws PikoError `SINK_FAILED` unless the name has only letters, digits, `_` and `$`, at most 64, and does not begin with a digit
 */
export function quoted(dialect: SqlExecutor['dialect'], name: string, what = 'identifier'): string {
  if (typeof name === 'string' && IDENTIFIER.test(name)) return `${QUOTE[dialect]}${name}${QUOTE[dialect]}`
  throw new PikoError(
    'SINK_FAILED',
    `${what} ${describe(name)} is not a plain SQL name; expected letters, digits, _ or $`,
  )
}

/** Like {@link quoted}, for a table name with or without its schema. */
export function quotedTable(dialect: SqlExecutor['dialect'], name: string): string {
  const parts = String(name).split('.')
  if (parts.length > 2) return quoted(dialect, name, 'table')
  return parts.map((part) => quoted(dialect, part, 'table')).join('.')
}

/**
 * Returns the end of an INSERT that overwrites rows with the same key. With a fence column, it overwrites only rows with the same or a
 * smaller fence.
 *
 * @param columns the columns of the INSERT; the fence column must be the last
 */
export function onConflict(
  dialect: SqlExecutor['dialect'],
  columns: readonly string[],
  keyColumns: readonly string[],
  fenceColumn: string | undefined,
): string {
  const quote = (column: string): string => quoted(dialect, column)
  const fence = fenceColumn === undefined ? undefined : quote(fenceColumn)
  const keys = keyColumns.map(quote)
  const changed = columns.map(quote).filter((column) => !keys.includes(column))
  if (dialect === 'mysql') {
    // MySQL assigns columns from left to right. All assignments depend on the fence, so the fence must be assigned last.
    const value = (column: string): string =>
      fence === undefined ? `VALUES(${column})` : `IF(VALUES(${fence}) >= ${fence}, VALUES(${column}), ${column})`
    const sets = changed.map((column) => `${column} = ${value(column)}`)
    // If there is nothing to change, the key is set to itself. INSERT IGNORE would also hide other errors.
    return ` ON DUPLICATE KEY UPDATE ${sets.join(', ') || `${keys[0]} = ${keys[0]}`}`
  }
  if (changed.length === 0) return ` ON CONFLICT (${keys.join(', ')}) DO NOTHING`
  const sets = changed.map((column) => `${column} = excluded.${column}`).join(', ')
  const guard = fence === undefined ? '' : ` WHERE excluded.${fence} >= ${fence}`
  return ` ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${sets}${guard}`
}

/**
 * Returns the value to bind for a property of a row. `undefined` becomes NULL; plain objects and arrays become JSON text.
 *
 * @param what the name of the value for the error message
 * @throws PikoError `SINK_ROW_INVALID` for NaN, an invalid date, a function, an instance of a class other than `Date` and `Uint8Array`, or
 * an object with a value that JSON would lose or replace, such as NaN or a `Map`
 */
export function toSqlValue(value: unknown, what: () => string): SqlValue {
  switch (typeof value) {
    case 'undefined':
      return null
    case 'string':
    case 'bigint':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value)) return value
      break
    case 'object':
      if (value === null || value instanceof Uint8Array) return value
      if (isPlain(value)) return jsonOf(value, what)
      if (value instanceof Date && !Number.isNaN(value.getTime())) return value
      break
    default:
      break
  }
  throw new PikoError(
    'SINK_ROW_INVALID',
    `${what()} is ${shown(value)}; expected a finite number, a string, a date, bytes, a plain object, an array or null`,
  )
}

/** The JSON text of an object. Most objects are small and plain, and need no detailed check. */
function jsonOf(value: object, what: () => string): string {
  if (smallCopy(value, Infinity) !== undefined) return JSON.stringify(value)
  const { value: copy, problems } = jsonCopy(value)
  if (problems.length === 0) return JSON.stringify(copy)
  throw new PikoError(
    'SINK_ROW_INVALID',
    `${what()} can't be stored as JSON: ${problems.map(({ path, text }) => `${pathText('value', path)} ${text}`).join('; ')}`,
  )
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype || prototype === null
}

function shown(value: unknown): string {
  if (typeof value !== 'object' || value === null) return describe(value)
  return value instanceof Date ? 'an invalid date' : `an instance of ${kindOf(value)}`
}
