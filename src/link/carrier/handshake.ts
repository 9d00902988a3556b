import { isSameSecret } from '../../access/same-secret.ts'
import { PikoError } from '../../errors.ts'
import type { ByteQueue } from '../wire/byte-queue.ts'
import { AUTH, broken, type Frame, GOAWAY, goAwayBody, readGoAway, smallFrame } from '../wire/frame.ts'
import {
  agree,
  authOf,
  denied,
  GOAWAY_CODES,
  isPrefaceSoFar,
  type Preface,
  PREFACE_BYTES,
  readPreface,
  writePreface,
} from '../wire/preface.ts'

/** What the connection must do next for the handshake. */
export type HandshakeStep =
  | { readonly is: 'waiting' }
  /** Send these bytes, and go on. */
  | { readonly is: 'send'; readonly bytes: Buffer }
  /** Both ends may send messages. */
  | { readonly is: 'open'; readonly bytes: Buffer | undefined; readonly peer: Preface; readonly version: number }
  /** Send these bytes and close. */
  | { readonly is: 'refused'; readonly bytes: Buffer; readonly error: PikoError }

const WAITING: HandshakeStep = { is: 'waiting' }

/**
 * The beginning of a connection: first both prefaces, then the proof that both ends know the secret. Pure: it reads bytes and returns what
 * to send.
 */
export class Handshake {
  readonly #own: Preface
  readonly #secret: string | undefined
  readonly preface: Buffer
  #peer: Preface | undefined
  #peerBytes: Buffer | undefined
  #version = 0

  constructor(own: Preface, secret: string | undefined) {
    this.#own = own
    this.#secret = secret
    this.preface = writePreface(own)
  }

  /** Whether the other end's preface has arrived. Frames follow it. */
  get hasPreface(): boolean {
    return this.#peer !== undefined
  }

  /**
   * Reads the preface when it is complete.
   *
   * @throws PikoError `LINK_BROKEN`
   */
  readPreface(bytes: ByteQueue): HandshakeStep {
    const whole = bytes.take(PREFACE_BYTES)
    if (!whole) return WAITING
    this.#peer = readPreface(whole)
    this.#peerBytes = Buffer.from(whole)
    const agreed = agree(this.#own, this.#peer)
    if ('error' in agreed) return refusal(agreed.code, agreed.error)
    this.#version = agreed.version
    if (this.#secret === undefined) return this.#opened(undefined)
    return this.#own.role === 'dial' ? { is: 'send', bytes: this.#auth() } : WAITING
  }

  /** Reads the first frame, which must be AUTH. @throws PikoError `LINK_BROKEN` */
  readFrame({ type, body }: Frame): HandshakeStep {
    if (type === GOAWAY) return { is: 'refused', bytes: Buffer.alloc(0), error: goneError(readGoAway(body)) }
    if (type !== AUTH) throw broken(`a frame of type ${type} before its AUTH`)
    const other = this.#own.role === 'dial' ? 'listen' : 'dial'
    if (!isSameSecret(body, authOf(this.#secret ?? '', other, ...this.#prefaces())))
      return refusal(GOAWAY_CODES.denied, denied('has another secret; both ends need the same one'))
    return this.#opened(this.#own.role === 'listen' ? this.#auth() : undefined)
  }

  #opened(bytes: Buffer | undefined): HandshakeStep {
    return { is: 'open', bytes, peer: this.#peer as Preface, version: this.#version }
  }

  #auth(): Buffer {
    return smallFrame(AUTH, 0, authOf(this.#secret ?? '', this.#own.role, ...this.#prefaces()))
  }

  #prefaces(): [Buffer, Buffer] {
    const other = this.#peerBytes as Buffer
    return this.#own.role === 'dial' ? [this.preface, other] : [other, this.preface]
  }
}

/** Whether these first bytes may be the beginning of a preface. */
export function mayBePreface(bytes: Buffer): boolean {
  return isPrefaceSoFar(bytes)
}

function refusal(code: number, error: PikoError): HandshakeStep {
  return { is: 'refused', bytes: smallFrame(GOAWAY, 0, goAwayBody(0, code, error.message)), error }
}

/** Creates the error for a connection that the other end has closed with GOAWAY. */
export function goneError({ code, reason }: { readonly code: number; readonly reason: string }): PikoError {
  const said = reason === '' ? '' : `: ${reason}`
  switch (code) {
    case GOAWAY_CODES.version:
      return new PikoError(
        'LINK_VERSION',
        `the other end of the link supports no version that this end supports${said}`,
      )
    case GOAWAY_CODES.denied:
      return denied(`refused the secret of this end, or needs one${said}`)
    case GOAWAY_CODES.full:
      return new PikoError('LINK_FULL', `the other end has too many connections${said}; try again later`)
    default:
      return new PikoError('LINK_LOST', `the other end of the link has stopped${said}`)
  }
}
