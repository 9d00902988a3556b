import { describe, PikoError } from '../../errors.ts'

/**
 * Returns the values of rows in the order of the columns. Drivers return rows in different forms: as objects with names that the driver may
 * have changed, as lists, as one object per table, or with bytes instead of text.
 */
export function valuesOf(rows: readonly unknown[]): unknown[][] {
  return rows.map((row) => flat(row))
}

function flat(value: unknown): unknown[] {
  if (value instanceof Uint8Array) return [Buffer.from(value).toString('latin1')]
  if (Array.isArray(value)) return value.flatMap(flat)
  if (typeof value !== 'object' || value === null || value instanceof Date) return [value]
  return Object.values(value).flatMap(flat)
}

/** Reads a whole number. @throws PikoError `USAGE` if the driver did not return a whole number of at least `least` */
export function readNumber(value: unknown, least: number): number {
  const number = value === null || value === '' ? NaN : Number(value)
  if (!Number.isSafeInteger(number) || number < least) throw unreadable(value)
  return number
}

/** The form of a digest. An empty string means that there is no value. */
const DIGEST = /^(?:[0-9a-f]{64})?$/i

/** Reads a digest. @throws PikoError `USAGE` if the driver did not return a digest */
export function readDigest(value: unknown): string {
  if (typeof value !== 'string' || !DIGEST.test(value)) throw unreadable(value)
  return value.toLowerCase()
}

export function unreadable(value: unknown): PikoError {
  return new PikoError(
    'USAGE',
    `the connection of trx returned ${describe(value)} instead of a number or a string, because its typeCast option changes values; roll back. Then return next() for numbers and strings in typeCast, or pass a mysql2/promise connection, for which Piko bypasses typeCast`,
  )
}
