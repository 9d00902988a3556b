/** The estimated size of a number, an instant, a key or a reference, in bytes. */
const VALUE_BYTES = 8
/** The maximum number of values to measure. Further values add nothing to the size of a row. */
const MAX_VALUES = 100_000

/**
 * Returns the approximate memory of a row in bytes: the lengths of its strings and its binary data, and a fixed size for each other value.
 * A value that can't be read is not counted.
 */
export function rowBytes(row: unknown): number {
  return flatBytes(row) ?? deepBytes(row)
}

/** Measures most rows, on a fast path. Returns undefined unless the row is a plain object without nested objects. */
function flatBytes(row: unknown): number | undefined {
  if (typeof row !== 'object' || row === null) return undefined
  let bytes = VALUE_BYTES
  try {
    if (Object.getPrototypeOf(row) !== Object.prototype) return undefined
    for (const key of Object.keys(row)) {
      const value = (row as Record<string, unknown>)[key]
      if (typeof value === 'string') bytes += value.length
      else if (typeof value !== 'object' || value === null || value instanceof Date) bytes += VALUE_BYTES
      else return undefined
    }
  } catch {
    return undefined
  }
  return bytes
}

function deepBytes(row: unknown): number {
  let bytes = 0
  const waiting: unknown[] = [row]
  for (let values = 0; waiting.length > 0 && values < MAX_VALUES; values++) {
    const value = waiting.pop()
    if (typeof value === 'string') bytes += value.length
    else if (ArrayBuffer.isView(value)) bytes += value.byteLength
    else bytes += VALUE_BYTES
    if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) pushParts(value, waiting)
  }
  return bytes
}

function pushParts(value: object, waiting: unknown[]): void {
  try {
    if (Array.isArray(value) || value instanceof Set) for (const part of value) waiting.push(part)
    else if (value instanceof Map) for (const [key, part] of value) waiting.push(key, part)
    // Inherited properties of an instance are not counted, because they may be getters that compute their values.
    else for (const key of Object.keys(value)) waiting.push((value as Record<string, unknown>)[key])
  } catch {
    // A getter or a proxy has thrown. The sink will fail at the same value and report it.
    return
  }
}
