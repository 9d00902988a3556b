import { crc32 } from 'node:zlib'
import { PikoError } from '../../errors.ts'

// The wire format: docs/link-protocol.md. Pure.

/** The types of frames. */
export const OPEN = 1
export const DATA = 2
export const END = 3
export const CREDIT = 4
export const CANCEL = 5
export const PING = 6
export const PONG = 7
export const GOAWAY = 8
export const AUTH = 9

/** The flag of the last frame of a message. */
export const LAST = 1

export const HEADER_BYTES = 16
export const TRAILER_BYTES = 40
export const MAX_HEAD_BYTES = 65_536
export const MAX_REASON_BYTES = 1_024
export const MIN_FRAME = 1_024
export const MAX_FRAME = 1_048_576
export const LEVELS = 4
const MAGIC = 0x50
const WORD = 2 ** 32

/** A frame that was received. */
export class Frame {
  readonly type: number
  readonly isLast: boolean
  readonly level: number
  readonly message: number
  readonly length: number
  /** The body: parts of the received bytes, without copies. */
  readonly pieces: readonly Buffer[]

  /** @throws PikoError `LINK_BROKEN` if the body does not match its header */
  constructor({ type, isLast, level, message, length, crc, headerCrc }: FrameHeader, pieces: readonly Buffer[]) {
    let actual = headerCrc
    for (const piece of pieces) actual = crc32(piece, actual)
    if (actual !== crc) throw broken(`a damaged frame of type ${type}`)
    this.type = type
    this.isLast = isLast
    this.level = level
    this.message = message
    this.length = length
    this.pieces = pieces
  }

  /** The body in one buffer. */
  get body(): Buffer {
    const { pieces } = this
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, this.length)
  }
}

/** The header of a frame. */
export interface FrameHeader {
  readonly type: number
  readonly isLast: boolean
  readonly level: number
  readonly message: number
  readonly length: number
  readonly crc: number
  /** The CRC of the header's own bytes. The CRC of the body continues from it. */
  readonly headerCrc: number
}

/** Creates the error for an invalid frame. It ends the connection. */
export function broken(problem: string, details: Record<string, unknown> = {}): PikoError {
  return new PikoError('LINK_BROKEN', `the other end of the link sent ${problem}; the connection is closed`, {
    details,
  })
}

/**
 * Writes the frame's header into its first 16 bytes. The rest of the buffer must already contain the body.
 *
 * @param frame the whole frame
 */
export function sealFrame(frame: Buffer, type: number, isLast: boolean, level: number, message: number): Buffer {
  writeHeader(frame, type, isLast, level, message, frame.length - HEADER_BYTES)
  frame.writeUInt32BE(crc32(frame.subarray(HEADER_BYTES), crc32(frame.subarray(0, 12))), 12)
  return frame
}

/** Creates the header of a frame whose body is in other buffers. */
export function headerOf(
  type: number,
  isLast: boolean,
  level: number,
  message: number,
  bodies: readonly Uint8Array[],
): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  let length = 0
  for (const body of bodies) length += body.length
  writeHeader(header, type, isLast, level, message, length)
  let crc = crc32(header.subarray(0, 12))
  for (const body of bodies) crc = crc32(body, crc)
  header.writeUInt32BE(crc, 12)
  return header
}

function writeHeader(
  into: Buffer,
  type: number,
  isLast: boolean,
  level: number,
  message: number,
  length: number,
): void {
  into[0] = MAGIC
  into[1] = type
  into[2] = isLast ? LAST : 0
  into[3] = level
  into.writeUInt32BE(message, 4)
  into.writeUIntBE(length, 8, 3)
  into[11] = checkOf(into)
}

function checkOf(bytes: Buffer): number {
  let check = 0
  for (let index = 0; index < 11; index++) check ^= bytes[index] as number
  return check
}

/** Creates a frame with a small body. */
export function smallFrame(type: number, message: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  frame.set(body, HEADER_BYTES)
  return sealFrame(frame, type, false, 0, message)
}

/**
 * Reads a header.
 *
 * @param maxFrame the maximum body of a DATA frame
 * @throws PikoError `LINK_BROKEN`
 */
export function readHeader(bytes: Buffer, maxFrame: number): FrameHeader {
  if (bytes[0] !== MAGIC) throw broken(`a byte ${bytes[0]} instead of the beginning of a frame`)
  if (checkOf(bytes) !== bytes[11]) throw broken('a frame with a damaged header')
  const [type, flags, level] = [bytes[1] as number, bytes[2] as number, bytes[3] as number]
  const message = bytes.readUInt32BE(4)
  const length = bytes.readUIntBE(8, 3)
  const isLast = flags === LAST
  if ((flags !== 0 && !isLast) || (isLast && type !== OPEN && type !== DATA))
    throw broken(`a frame of type ${type} with flags ${flags}`)
  if (level >= LEVELS) throw broken(`a frame of level ${level}`)
  if ((type >= PING || type === 0) !== (message === 0) && type !== CREDIT)
    throw broken(`a frame of type ${type} with message ${message}`)
  const [min, max] = bodyLimits(type, isLast, maxFrame)
  if (length < min || length > max)
    throw broken(`a frame of type ${type} with ${length} bytes; it has ${min} to ${max}`)
  return {
    type,
    isLast,
    level,
    message,
    length,
    crc: bytes.readUInt32BE(12),
    headerCrc: crc32(bytes.subarray(0, 12)),
  }
}

function bodyLimits(type: number, isLast: boolean, maxFrame: number): readonly [number, number] {
  const trailer = isLast ? TRAILER_BYTES : 0
  switch (type) {
    case OPEN:
      return [4 + trailer, 4 + MAX_HEAD_BYTES + maxFrame + trailer]
    case DATA:
      return [1 + trailer, maxFrame + trailer]
    case END:
      return [TRAILER_BYTES, TRAILER_BYTES + MAX_HEAD_BYTES]
    case CREDIT:
      return [4, 4]
    case CANCEL:
      return [2, 2 + MAX_REASON_BYTES]
    case PING:
    case PONG:
      return [8, 8]
    case GOAWAY:
      return [6, 6 + MAX_REASON_BYTES]
    case AUTH:
      return [32, 32]
    default:
      throw broken(`a frame of the unknown type ${type}`)
  }
}

/** Writes the length of a message and its SHA-256. The string `sha256` has one character for each byte. */
export function writeTrailer(into: Buffer, at: number, total: number, sha256: string): void {
  into.writeUInt32BE(Math.floor(total / WORD), at)
  into.writeUInt32BE(total % WORD, at + 4)
  into.write(sha256, at + 8, 'latin1')
}

/** Whether the trailer at this position belongs to a message with this length and SHA-256. */
export function isTrailerOf(bytes: Buffer, at: number, total: number, sha256: string): boolean {
  return (
    bytes.readUInt32BE(at) * WORD + bytes.readUInt32BE(at + 4) === total &&
    bytes.toString('latin1', at + 8, at + TRAILER_BYTES) === sha256
  )
}

/** Returns the body of a CANCEL frame: a code and its reason, truncated to the limit. */
export function codeAndReason(code: number, reason: string): Buffer {
  const text = cutUtf8(reason)
  const body = Buffer.allocUnsafe(2 + text.length)
  body.writeUInt16BE(code, 0)
  body.set(text, 2)
  return body
}

export function readCodeAndReason(body: Buffer): { readonly code: number; readonly reason: string } {
  return { code: body.readUInt16BE(0), reason: body.toString('utf8', 2) }
}

/** Returns the body of a GOAWAY frame. */
export function goAwayBody(last: number, code: number, reason: string): Buffer {
  const id = Buffer.allocUnsafe(4)
  id.writeUInt32BE(last, 0)
  return Buffer.concat([id, codeAndReason(code, reason)])
}

export function readGoAway(body: Buffer): { readonly last: number; readonly code: number; readonly reason: string } {
  return { last: body.readUInt32BE(0), ...readCodeAndReason(body.subarray(4)) }
}

function cutUtf8(text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length <= MAX_REASON_BYTES) return bytes
  let end = MAX_REASON_BYTES
  // A string must not be truncated within a character: bytes of the form 10xxxxxx continue one.
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}

export function creditBody(bytes: number): Buffer {
  const body = Buffer.allocUnsafe(4)
  body.writeUInt32BE(bytes, 0)
  return body
}
