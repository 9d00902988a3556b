import { deserialize, serialize } from 'node:v8'
import { crc32 } from 'node:zlib'
import { headline } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { SpillBatch } from './spill-queue.ts'

/** The bytes with which every segment begins. */
export const SEGMENT_MAGIC = Buffer.from('PIKOSPL1', 'latin1')
/** The bytes with which every record begins. */
const RECORD_MAGIC = Buffer.from('PkRc', 'latin1')
/**
 * A header has five fields of 4 bytes: magic, length of the content, checksum of the content, record number, and checksum of the other
 * four.
 */
export const HEADER_BYTES = 20
/** A larger length means that the header is damaged, because no batch is that large. */
const MAX_CONTENT_BYTES = 2 ** 30

/** What a record's header contains. */
export interface RecordHeader {
  readonly contentBytes: number
  readonly contentSum: number
  /** The number of the record; 0 for the first record of its segment. */
  readonly number: number
}

/**
 * Encodes the content of a record. Rows are stored as structured clones, so that dates, `bigint` and binary data keep their types.
 *
 * @throws PikoError `SINK_ROW_INVALID` for rows with values that can't be cloned, such as functions and promises
 */
export function encodeBatch({ sink, route, kind, batch, rows }: SpillBatch): Buffer {
  const { jobId, runId, attempt, fence, window, key, index } = batch
  const kept = { jobId, runId, attempt, fence, window: window && { start: window.start, end: window.end }, key, index }
  try {
    return serialize({ sink, route, kind, batch: kept, rows })
  } catch (error) {
    throw new PikoError(
      'SINK_ROW_INVALID',
      `sink ${sink}: a row of batch ${key} can't be stored on disk while the target is down: ${headline(error)}`,
      { cause: error, details: { sink, key } },
    )
  }
}

/** Reads a batch from a record. @throws if `content` is not the content of a record */
export function decodeBatch(content: Buffer): SpillBatch {
  return deserialize(content) as SpillBatch
}

/** Creates a record: a header followed by the content. */
export function recordOf(content: Buffer, number: number): Buffer {
  const record = Buffer.allocUnsafe(HEADER_BYTES + content.length)
  RECORD_MAGIC.copy(record)
  record.writeUInt32LE(content.length, 4)
  record.writeUInt32LE(crc32(content), 8)
  record.writeUInt32LE(number, 12)
  record.writeUInt32LE(crc32(record.subarray(0, 16)), 16)
  content.copy(record, HEADER_BYTES)
  return record
}

/** Reads the header at the beginning of `bytes`; undefined if there is none or it is damaged. */
export function readHeader(bytes: Buffer): RecordHeader | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 4).equals(RECORD_MAGIC)) return undefined
  if (bytes.readUInt32LE(16) !== crc32(bytes.subarray(0, 16))) return undefined
  const contentBytes = bytes.readUInt32LE(4)
  if (contentBytes > MAX_CONTENT_BYTES) return undefined
  return { contentBytes, contentSum: bytes.readUInt32LE(8), number: bytes.readUInt32LE(12) }
}

/** Returns the next position from `from` on where a header may begin; -1 if there is none. */
export function nextMagic(bytes: Buffer, from: number): number {
  return bytes.indexOf(RECORD_MAGIC, from)
}

export function isSound(content: Buffer, { contentBytes, contentSum }: RecordHeader): boolean {
  return content.length === contentBytes && crc32(content) === contentSum
}
