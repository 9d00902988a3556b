import { wrongCall } from '../../call-options.ts'
import { describe } from '../../errors.ts'
import type { SqlValue } from '../../sql/sql.ts'

/**
 * Converts the values of a statement for the driver. Dates become text in UTC, regardless of the time zone of the user's pool.
 *
 * @throws PikoError `USAGE` for a value that the driver would store as a different one
 */
export function boundValues(values: readonly SqlValue[]): (string | number | Buffer | null)[] {
  return Array.from(values, (value: unknown, index) => {
    if (value === null || typeof value === 'string') return value
    if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return Number(value)
    if (typeof value === 'bigint') return String(value)
    if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    if (value instanceof Date && !Number.isNaN(value.getTime())) return sqlInstant(value)
    throw wrongCall('mysql', [
      `parameter ${index + 1} is ${value instanceof Date ? 'an invalid date' : describe(value)}; expected a string, a finite number, a bigint, a boolean, a Date, a Uint8Array or null`,
    ])
  })
}

function sqlInstant(at: Date): string {
  return at.toISOString().replace('T', ' ').replace('Z', '')
}
