import { PikoError } from '../../errors.ts'
import { MAX_BATCH_BYTES, sentBytes } from '../../sql/statement-size.ts'
import { MAX_VALUE_BYTES, MAX_CONFIG_BYTES } from '../../json/json.ts'

/** The sizes that follow from the maximum size of a statement. */
export interface SizeLimits {
  /** The maximum size of a statement, in bytes. */
  readonly statement: number
  /** The size at which batches of rows are split, in bytes. */
  readonly batch: number
  /** The maximum size of one run's input or output as JSON, in bytes. */
  readonly value: number
}

/** The sizes for SQLite. Its own limit of 1,000,000,000 bytes applies to the text of a statement, and to each value. */
export const SQLITE_SIZES: SizeLimits = { statement: 1_000_000_000, batch: MAX_BATCH_BYTES, value: MAX_VALUE_BYTES }

const MIN_PACKET_BYTES = 256 * 1_024
/** How many bytes are reserved for everything in a statement except large values: column names and short values. */
const FRAME_BYTES = 20_000
/** The driver may double the length of a string, because it escapes quotes and backslashes. */
const MAX_GROWTH = 2

/**
 * Returns the sizes that a server's `max_allowed_packet` allows. One statement must have space for an input and a config, both at twice
 * their size.
 *
 * @throws PikoError `DATABASE_UNSUPPORTED` if it is too small for Piko's own statements
 */
export function sizesOf(maxPacketBytes: number, location: string): SizeLimits {
  if (!(maxPacketBytes >= MIN_PACKET_BYTES)) {
    throw new PikoError(
      'DATABASE_UNSUPPORTED',
      `max_allowed_packet of ${location} is ${maxPacketBytes} bytes; Piko needs ${MIN_PACKET_BYTES}: raise it on the server`,
      { details: { location, maxAllowedPacket: maxPacketBytes } },
    )
  }
  const forInput = Math.floor((maxPacketBytes - FRAME_BYTES - MAX_GROWTH * MAX_CONFIG_BYTES) / MAX_GROWTH)
  return {
    statement: maxPacketBytes,
    batch: Math.min(MAX_BATCH_BYTES, maxPacketBytes - FRAME_BYTES),
    value: Math.min(MAX_VALUE_BYTES, forInput),
  }
}

/** The server's limit applies to the packet, which adds a byte for the command. */
const COMMAND_BYTES = 1
const MAX_BYTES_PER_CHARACTER = 3

/**
 * Refuses a statement that is too large, because the server would close the connection.
 *
 * @throws PikoError `STATEMENT_TOO_LARGE`
 */
export function assertFits(text: string, values: readonly unknown[], maxBytes: number): void {
  // This estimate is enough for nearly every statement, and it need not read the characters.
  let most = text.length
  for (const value of values) most += roughly(value)
  if (most * MAX_BYTES_PER_CHARACTER + COMMAND_BYTES <= maxBytes) return
  let bytes = Buffer.byteLength(text) - values.length + COMMAND_BYTES
  for (const value of values) bytes += sentBytes(value)
  if (bytes > maxBytes) throw statementTooLarge(bytes, maxBytes)
}

function roughly(value: unknown): number {
  if (typeof value === 'string') return value.length + 2
  return value instanceof Uint8Array ? value.byteLength + 3 : 10
}

export function statementTooLarge(bytes: number | undefined, maxBytes: number, cause?: unknown): PikoError {
  const size = bytes === undefined ? 'too large' : `${bytes} bytes`
  return new PikoError(
    'STATEMENT_TOO_LARGE',
    `a statement with its values is ${size}; the database accepts at most ${maxBytes} bytes (max_allowed_packet on MySQL): write fewer or smaller rows, or raise that limit`,
    { ...(cause !== undefined && { cause }), details: { ...(bytes !== undefined && { bytes }), mostBytes: maxBytes } },
  )
}
