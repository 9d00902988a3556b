import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { PikoError } from '../../errors.ts'
import { broken, MAX_FRAME, MIN_FRAME } from './frame.ts'

// The preface with which a connection begins, as in docs/link-protocol.md. Pure.

export const PREFACE_BYTES = 60
/** The highest protocol version that this program supports. */
export const VERSION = 1
const OLDEST_VERSION = 1
const MAGIC = Buffer.from('PIKOLINK')
const HAS_SECRET = 1
const DIALLED = 2
/** The initial credit of a connection, in windows. */
export const WINDOWS_PER_CONNECTION = 8
const MIN_WINDOW = 1_024
const MAX_WINDOW = 2 ** 31 - 1

/** Which end of the connection this is. */
export type Role = 'dial' | 'listen'

export interface Preface {
  readonly version: number
  readonly hasSecret: boolean
  readonly role: Role
  readonly maxFrame: number
  readonly window: number
  readonly maxOpen: number
  /** The id of the node: 16 bytes. */
  readonly nodeId: Uint8Array
  /** A random value for the handshake: 16 bytes. */
  readonly nonce: Uint8Array
}

export function writePreface(preface: Preface): Buffer {
  const bytes = Buffer.alloc(PREFACE_BYTES)
  bytes.set(MAGIC, 0)
  bytes.writeUInt16BE(preface.version, 8)
  bytes.writeUInt16BE((preface.hasSecret ? HAS_SECRET : 0) | (preface.role === 'dial' ? DIALLED : 0), 10)
  bytes.writeUInt32BE(preface.maxFrame, 12)
  bytes.writeUInt32BE(preface.window, 16)
  bytes.writeUInt32BE(preface.maxOpen, 20)
  bytes.set(preface.nodeId, 24)
  bytes.set(preface.nonce, 40)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 56)), 56)
  return bytes
}

/** Whether these bytes may be the beginning of a preface. */
export function isPrefaceSoFar(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, MAGIC.length)
  return MAGIC.subarray(0, length).equals(bytes.subarray(0, length))
}

/** Parses a preface. @throws PikoError `LINK_BROKEN` */
export function readPreface(bytes: Buffer): Preface {
  if (!isPrefaceSoFar(bytes)) throw broken('something that is not a link')
  if (crc32(bytes.subarray(0, 56)) !== bytes.readUInt32BE(56)) throw broken('a damaged preface')
  const flags = bytes.readUInt16BE(10)
  const preface: Preface = {
    version: bytes.readUInt16BE(8),
    hasSecret: (flags & HAS_SECRET) !== 0,
    role: (flags & DIALLED) !== 0 ? 'dial' : 'listen',
    maxFrame: bytes.readUInt32BE(12),
    window: bytes.readUInt32BE(16),
    maxOpen: bytes.readUInt32BE(20),
    nodeId: Buffer.from(bytes.subarray(24, 40)),
    nonce: Buffer.from(bytes.subarray(40, 56)),
  }
  const { maxFrame, window, maxOpen } = preface
  if (maxFrame < MIN_FRAME || maxFrame > MAX_FRAME || window < MIN_WINDOW || window > MAX_WINDOW || maxOpen === 0)
    throw broken('a preface with limits out of range', { maxFrame, window, maxOpen })
  return preface
}

/** Why two ends can't communicate, with the code for GOAWAY. */
export interface Refusal {
  readonly code: number
  readonly error: PikoError
}

/** Returns the version that both ends support, or why they can't communicate. */
export function agree(own: Preface, other: Preface): { readonly version: number } | Refusal {
  if (own.role === other.role) {
    const error = new PikoError(
      'LINK_BROKEN',
      `both ends of the link have the role "${own.role}"; one end needs { role: 'dial' }, the other { role: 'listen' }`,
    )
    return { code: GOAWAY_CODES.version, error }
  }
  const version = Math.min(own.version, other.version)
  if (version < OLDEST_VERSION) {
    const message = `the other end of the link speaks version ${other.version}, this one ${OLDEST_VERSION} to ${own.version}; update the older one`
    return { code: GOAWAY_CODES.version, error: new PikoError('LINK_VERSION', message, { details: { own, other } }) }
  }
  if (other.hasSecret && !own.hasSecret)
    return {
      code: GOAWAY_CODES.denied,
      error: denied('requires a secret, and this end has none; pass the option secret'),
    }
  return { version }
}

export const GOAWAY_CODES = { stopping: 0, spent: 1, version: 2, denied: 3, full: 4 } as const

export function denied(problem: string): PikoError {
  return new PikoError('LINK_DENIED', `the other end of the link ${problem}`)
}

/** Creates the body of an AUTH frame. */
export function authOf(secret: string, from: Role, dialler: Buffer, listener: Buffer): Buffer {
  return createHmac('sha256', secret)
    .update(from === 'dial' ? 'D' : 'L')
    .update(dialler)
    .update(listener)
    .digest()
}
