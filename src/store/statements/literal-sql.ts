import { PLAIN } from './bulk-insert.ts'

/**
 * Writes a statement's values into its text as literals. They have the same meaning on any connection, whatever its character set, SQL
 * mode, time zone and driver options. `text` must have a `?` for each value and no other.
 */
export function literalSql(text: string, values: readonly unknown[]): string {
  const parts = text.split('?')
  if (parts.length !== values.length + 1)
    throw new Error(`${values.length} values for ${parts.length - 1} placeholders`)
  return parts.map((part, index) => (index < values.length ? part + literal(values[index]) : part)).join('')
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  const text = String(utcText(value))
  return PLAIN.test(text) ? `'${text}'` : `_utf8mb4 0x${Buffer.from(text).toString('hex')}`
}

/** Converts a `Date` to text in UTC. A driver would use its own time zone instead, by default the machine's. */
export function utcText(value: unknown): unknown {
  return value instanceof Date ? value.toISOString().replace('T', ' ').replace('Z', '') : value
}
