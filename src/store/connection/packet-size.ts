import { PikoError } from '../../errors.ts'
import { MAX_BATCH_BYTES, sentBytes } from '../../sql/statement-size.ts'
import { MAX_VALUE_BYTES, MAX_CONFIG_BYTES } from '../../json/json.ts'

/** What the largest statement of a database allows. */
export interface SizeLimits {
  /** The largest statement that the database takes, in bytes. */
  readonly statement: number
  /** Batches of rows are split at this size. */
  readonly batch: number
  /** Bytes of JSON of one run's input or output. */
  readonly value: number
}

/** SQLite's own limit for a statement's text and for each value. */
export const SQLITE_SIZES: SizeLimits = { statement: 1_000_000_000, batch: MAX_BATCH_BYTES, value: MAX_VALUE_BYTES }

const MIN_PACKET_BYTES = 256 * 1_024
/** Of a statement around its values: the names of columns, and what is short in a row. */
const FRAME_BYTES = 20_000
/** The driver doubles quotes and backslashes. */
const MAX_GROWTH = 2

/**
 * What a server's `max_allowed_packet` allows. An input must fit into one statement together with a config, both at twice
 * their size.
 *
 * @throws PikoError `DATABASE_UNSUPPORTED` when it is too small for Piko's own statements
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

/** The server compares the packet, which has a byte for its command. */
const COMMAND_BYTES = 1
const MAX_BYTES_PER_CHARACTER = 3

/**
 * A server cuts the connection when a statement is too large, so such a statement isn't sent.
 *
 * @throws PikoError `STATEMENT_TOO_LARGE`
 */
export function assertFits(text: string, values: readonly unknown[], maxBytes: number): void {
  // Nearly every statement is short enough without a look at its characters.
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
    `a statement with its values is ${size}; the database takes at most ${maxBytes} bytes (max_allowed_packet on MySQL): write fewer or smaller rows, or raise that limit`,
    { ...(cause !== undefined && { cause }), details: { ...(bytes !== undefined && { bytes }), mostBytes: maxBytes } },
  )
}
