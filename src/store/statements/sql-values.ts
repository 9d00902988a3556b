import { types } from 'node:util'
import { describe, PikoError } from '../../errors.ts'
import type { SqlValue } from '../../sql/sql.ts'

const MIN_INTEGER = -(2n ** 63n)
const MAX_INTEGER = 2n ** 63n - 1n
const MIN_INSTANT_MS = new Date('0001-01-01T00:00:00.000Z').getTime()
const MAX_INSTANT_MS = new Date('9999-12-31T23:59:59.999Z').getTime()

/**
 * Converts a value to the form that the driver needs. Refuses values that the two databases would store differently. For example, SQLite
 * would store NaN as NULL, and MySQL would store an invalid date as NULL and an object as text.
 *
 * @throws PikoError `USAGE`
 */
export function bindable(value: unknown, index: number): SqlValue {
  if (!isSqlValue(value)) {
    throw new PikoError(
      'USAGE',
      `SQL parameter ${index + 1} is ${shown(value)}; expected a string, a finite number, a bigint of 64 bits, a boolean, a Date up to the year 9999, a Uint8Array or null`,
      { details: { parameter: index + 1, value: shown(value) } },
    )
  }
  if (typeof value === 'number' || typeof value === 'boolean') return exactNumber(Number(value))
  if (types.isDate(value)) return new Date(msOf(value))
  if (!types.isUint8Array(value)) return value
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** Calls the method of the class, because the object itself may have another method with this name. */
const msOf = (date: Date): number => Date.prototype.getTime.call(date)

/**
 * Converts a whole number so that the drivers send it exactly. SQLite's driver would bind `5` as 5.0, and MySQL's driver would round an
 * integer beyond 2^53.
 */
function exactNumber(value: number): number | bigint {
  if (Number.isSafeInteger(value)) return BigInt(value)
  if (!Number.isInteger(value)) return value
  const integer = BigInt(value)
  return isInteger64(integer) ? integer : value
}

/**
 * Converts a number beyond 64 bits, such as 1e19, so that MySQL takes it as the DOUBLE that it is. Its driver would write
 * `10000000000000000000`, which is an integer or a DECIMAL.
 */
export function asDouble(value: SqlValue): unknown {
  if (typeof value !== 'number' || !Number.isInteger(value)) return value
  return { toSqlString: () => value.toExponential() }
}

const isInteger64 = (value: bigint): boolean => value >= MIN_INTEGER && value <= MAX_INTEGER

function isSqlValue(value: unknown): value is SqlValue {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'bigint':
      return isInteger64(value)
    default:
      // `instanceof` is true for a proxy, and false for a value of another realm.
      if (types.isDate(value)) return msOf(value) >= MIN_INSTANT_MS && msOf(value) <= MAX_INSTANT_MS
      return value === null || types.isUint8Array(value)
  }
}

function shown(value: unknown): string {
  return types.isDate(value) && Number.isNaN(msOf(value)) ? 'an invalid Date' : describe(value)
}
