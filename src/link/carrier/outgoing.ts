import { PikoError } from '../../errors.ts'
import { ByteQueue } from '../wire/byte-queue.ts'
import { Digest, sha256Of } from '../wire/digest.ts'
import {
  DATA,
  END,
  HEADER_BYTES,
  headerOf,
  MAX_HEAD_BYTES,
  OPEN,
  sealFrame,
  TRAILER_BYTES,
  writeTrailer,
} from '../wire/frame.ts'
import type { ReplyEnd } from '../wire/head.ts'
import type { Waiting } from './levels.ts'
import { CANCEL_CODES, type OutgoingMessage, type OutgoingSpec } from './carrier.ts'

/** How many bytes may wait for the connection before a writer must wait. */
const MAX_AHEAD = 131_072

/** The methods of a connection that an outgoing message uses. */
export interface OutgoingOwner {
  /** Called when the message has data to send. */
  ready(message: Outgoing): void
  /**
   * Called when the message has ended and sends nothing more.
   *
   * @param cancel the code and reason to send to the other end
   */
  over(message: Outgoing, cancel?: { readonly code: number; readonly reason: string }): void
}

/** A message that is sent in frames, within the credit from the other end. */
export class Outgoing implements OutgoingMessage {
  id: number | undefined
  /** How many bytes the other end still accepts. */
  credit = 0
  readonly level: number
  place: Waiting['place']
  readonly #spec: OutgoingSpec
  readonly #owner: OutgoingOwner
  readonly #head: string
  readonly #bytes = new ByteQueue()
  #digest: Digest | undefined
  #total = 0
  #isEnded = false
  #end: ReplyEnd | undefined
  #failure: PikoError | undefined
  #isSent = false
  #isReleased = false
  #room: PromiseWithResolvers<void> | undefined
  #sent: PromiseWithResolvers<void> | undefined

  /** @param head the head as JSON, at most 64 KB */
  constructor(spec: OutgoingSpec, head: string, owner: OutgoingOwner) {
    this.#spec = spec
    this.#owner = owner
    this.#head = head
    this.level = spec.level
    if (!spec.whole) return
    this.#bytes.push(spec.whole)
    this.#isEnded = true
  }

  get kind(): OutgoingSpec['head']['kind'] {
    return this.#spec.head.kind
  }

  get isSent(): boolean {
    return this.#isSent
  }

  get isOver(): boolean {
    return this.#isSent || this.#failure !== undefined
  }

  get isReleased(): boolean {
    return this.#isReleased
  }

  /** Whether the message has bytes to send but no credit. */
  get isWaitingForCredit(): boolean {
    return this.id !== undefined && this.#bytes.length > 0 && this.credit === 0 && !this.isOver
  }

  /** Whether the message could send a frame now. */
  get isReady(): boolean {
    if (this.isOver) return false
    if (this.id === undefined) return true
    return this.#bytes.length > 0 ? this.credit > 0 : this.#isEnded
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#failure) throw this.#failure
    this.#bytes.push(bytes)
    this.#owner.ready(this)
    if (this.#bytes.length < MAX_AHEAD) return
    this.#room ??= Promise.withResolvers<void>()
    await this.#room.promise
  }

  end(end?: ReplyEnd): void {
    if (this.isOver || this.#isEnded) return
    this.#isEnded = true
    this.#end = end
    this.#owner.ready(this)
  }

  cancel(code: number, reason: string): void {
    if (this.#isReleased) return
    const wasBegun = this.id !== undefined
    this.#drop(new PikoError('LINK_CANCELLED', `this end cancelled the message: ${reason}`))
    this.#owner.over(this, wasBegun ? { code, reason } : undefined)
  }

  release(): void {
    if (this.#isReleased) return
    if (!this.isOver) return this.cancel(CANCEL_CODES.unwanted, 'it was answered before its end')
    this.#isReleased = true
    this.#owner.over(this)
  }

  whenSent(): Promise<void> {
    if (this.#isSent) return Promise.resolve()
    if (this.#failure) return Promise.reject(this.#failure)
    this.#sent ??= Promise.withResolvers<void>()
    return this.#sent.promise
  }

  /** Ends the message with an error, because the other end has cancelled it or the connection has ended. */
  failed(reason: PikoError): void {
    if (this.#isReleased) return
    this.#drop(reason)
    this.#owner.over(this)
    this.#spec.onFailed?.(reason)
  }

  #drop(reason: PikoError): void {
    this.#isReleased = true
    this.#failure = reason
    this.#bytes.clear()
    for (const waiting of [this.#room, this.#sent]) {
      // If no caller is waiting for the promise, this handles its rejection.
      waiting?.promise.catch(() => {})
      waiting?.reject(reason)
    }
    this.#room = undefined
  }

  /** Sets the id and the credit with which the message begins. */
  begin(id: number, credit: number): void {
    this.id = id
    this.credit = credit
    this.#spec.onBegun?.(id)
  }

  /**
   * Creates the next frame. Only allowed if {@link isReady}.
   *
   * @param most how many of the message's own bytes the frame may contain
   * @param isFirst whether the message begins with this frame
   * @returns the buffers of the frame, and how many of the message's own bytes it contains
   */
  nextFrame(most: number, isFirst: boolean): { readonly parts: readonly Buffer[]; readonly bytes: number } {
    const wanted = Math.min(most, this.credit, this.#bytes.length)
    const bytes =
      wanted === 0
        ? EMPTY
        : ((this.#bytes.length <= wanted ? this.#bytes.take(wanted) : this.#bytes.takeSome(wanted)) ?? EMPTY)
    this.credit -= bytes.length
    this.#total += bytes.length
    const isComplete = this.#isEnded && this.#bytes.length === 0
    const isLast = isComplete && this.#end === undefined && (isFirst || bytes.length > 0)
    const parts = this.#partsOf(bytes, isFirst, isLast, isComplete)
    if (this.#bytes.length < MAX_AHEAD) {
      this.#room?.resolve()
      this.#room = undefined
    }
    if (isLast || (isComplete && !isFirst && bytes.length === 0)) this.#complete()
    return { parts, bytes: bytes.length }
  }

  #partsOf(bytes: Buffer, isFirst: boolean, isLast: boolean, isComplete: boolean): readonly Buffer[] {
    const id = this.id as number
    if (isFirst) return [this.#openFrame(bytes, isLast)]
    if (bytes.length === 0 && isComplete) return [this.#endFrame(id)]
    this.#update(bytes)
    const bodies = isLast ? [bytes, this.#trailer()] : [bytes]
    return [headerOf(DATA, isLast, this.level, id, bodies), ...bodies]
  }

  #openFrame(bytes: Buffer, isLast: boolean): Buffer {
    const length = Buffer.byteLength(this.#head)
    const at = HEADER_BYTES + 4 + length
    const frame = Buffer.allocUnsafe(at + bytes.length + (isLast ? TRAILER_BYTES : 0))
    frame.writeUInt32BE(length, HEADER_BYTES)
    frame.write(this.#head, HEADER_BYTES + 4)
    frame.set(bytes, at)
    // For a small message, one call is four times as fast as a digest in several steps.
    if (isLast) writeTrailer(frame, at + bytes.length, this.#total, sha256Of(bytes))
    else if (bytes.length > 0) this.#update(bytes)
    return sealFrame(frame, OPEN, isLast, this.level, this.id as number)
  }

  #endFrame(id: number): Buffer {
    const end = this.#end === undefined ? EMPTY : endBytes(this.#end)
    const frame = Buffer.allocUnsafe(HEADER_BYTES + TRAILER_BYTES + end.length)
    frame.set(this.#trailer(), HEADER_BYTES)
    frame.set(end, HEADER_BYTES + TRAILER_BYTES)
    return sealFrame(frame, END, false, this.level, id)
  }

  #trailer(): Buffer {
    const trailer = Buffer.allocUnsafe(TRAILER_BYTES)
    writeTrailer(trailer, 0, this.#total, (this.#digest ?? new Digest()).end())
    return trailer
  }

  #update(bytes: Buffer): void {
    ;(this.#digest ??= new Digest()).update(bytes)
  }

  #complete(): void {
    this.#isSent = true
    this.#sent?.resolve()
    this.#spec.onSent?.()
    // A request is kept, because its caller can still cancel it.
    if (this.kind !== 'request') this.release()
  }
}

const EMPTY = Buffer.alloc(0)

function endBytes(end: ReplyEnd): Buffer {
  const bytes = Buffer.from(JSON.stringify(end))
  return bytes.length <= MAX_HEAD_BYTES ? bytes : Buffer.from(JSON.stringify({ status: end.status }))
}
