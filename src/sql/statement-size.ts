/**
 * The maximum size of a batch's statement, in bytes. By default, servers accept at least 1 MB. A larger statement is not faster, and delays
 * others longer.
 */
export const MAX_BATCH_BYTES = 1_000_000

/** For strings up to this length, the characters to escape are not counted, but estimated. */
const MAX_GUESSED_CHARACTERS = 200
const MAX_BYTES_PER_CHARACTER = 3
/** The maximum size of a number, an instant or a keyword, in bytes. */
const MAX_OTHER_BYTES = 30

/** Returns the size of a value in a statement in bytes, as the MySQL driver writes it: escaped, in UTF-8. The result is never too small. */
export function sentBytes(value: unknown): number {
  if (typeof value === 'string') {
    return value.length <= MAX_GUESSED_CHARACTERS
      ? value.length * MAX_BYTES_PER_CHARACTER + 2
      : Buffer.byteLength(value) + escapes(value) + 2
  }
  return value instanceof Uint8Array ? 2 * value.byteLength + 3 : MAX_OTHER_BYTES
}

/** Returns how many characters the driver escapes with a backslash. */
function escapes(text: string): number {
  let count = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x00:
      case 0x08:
      case 0x09:
      case 0x0a:
      case 0x0d:
      case 0x1a:
      case 0x22:
      case 0x27:
      case 0x5c:
        count++
    }
  }
  return count
}

export interface BatchLimits {
  readonly maxRows: number
  readonly maxBytes: number
}

/**
 * Splits rows into parts that fit into one statement. A single row over the limit becomes a part of its own. The rows of a part are
 * measured only when the part is requested, because measuring many rows in one turn would block the event loop.
 */
export function* batchesOf<Row>(
  rows: Iterable<Row>,
  bytesOf: (row: Row) => number,
  { maxRows, maxBytes }: BatchLimits,
): Generator<Row[]> {
  let batch: Row[] = []
  let bytes = 0
  for (const row of rows) {
    const size = bytesOf(row)
    if (batch.length === maxRows || (batch.length > 0 && bytes + size > maxBytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(row)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
